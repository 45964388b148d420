import { realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { AppError } from '../kernel/errors.ts';
import type { Database } from '../ports/database.ts';
import { openEmbeddedDatabase } from './embedded.ts';
import { libsqlEngine } from './libsql-engine.ts';
import { sqliteEngine } from './sqlite-engine.ts';

/** Where a database is; the same shape as the settings have it, with every path settled. */
export type DatabaseLocation =
  | { readonly kind: 'memory'; readonly name: string }
  | {
      readonly kind: 'file';
      readonly name: string;
      readonly path: string;
      readonly engine: 'sqlite' | 'libsql';
      readonly encryptionKey?: string | undefined;
    };

const ENGINES = { sqlite: sqliteEngine, libsql: libsqlEngine };

/** Files that are open in this process. Two libraries on one file would undo each other's locks and tear it. */
const openFiles = new Map<string, string>();

/**
 * Opens one database of any kind. A file is opened once in a process, whatever name or link leads to it.
 * @throws Error when the file is open already.
 */
export async function openDatabase(location: DatabaseLocation): Promise<Database> {
  if (location.kind === 'memory') return openEmbeddedDatabase({ name: location.name, path: ':memory:' });
  const path = canonical(location.path);
  const holder = openFiles.get(path);
  if (holder !== undefined) throw new Error(`the databases ${holder} and ${location.name} are the same file`);
  openFiles.set(path, location.name);
  try {
    const { name, engine, encryptionKey } = location;
    const database = await openEmbeddedDatabase({ name, path, engine: ENGINES[engine], encryptionKey });
    return {
      ...database,
      async close() {
        await database.close();
        openFiles.delete(path);
      },
    };
  } catch (error) {
    openFiles.delete(path);
    throw error instanceof AppError
      ? new Error(`the database ${location.name} could not be opened: ${error.detail}`, { cause: error })
      : error;
  }
}

/** The databases of one process. */
export interface Databases {
  readonly main: Database;
  /** `main` first. */
  readonly all: readonly Database[];
  close(): Promise<void>;
}

/** Opens all of them, or none: when one fails those that were opened are closed again. */
export async function openDatabases(locations: readonly DatabaseLocation[]): Promise<Databases> {
  const all: Database[] = [];
  const close = async () => {
    for (let database = all.pop(); database; database = all.pop()) await database.close();
  };
  try {
    for (const location of locations) all.push(await openDatabase(location));
  } catch (error) {
    await close();
    throw error;
  }
  const main = all.find(({ name }) => name === 'main');
  if (!main) throw new Error('there is no database of the name main');
  return { main, all: [...all], close };
}

/** The path without links; the file itself may not exist yet. */
function canonical(path: string): string {
  const absolute = resolve(path);
  for (let parent = absolute, rest = ''; ; ) {
    try {
      return join(realpathSync(parent), rest);
    } catch {
      rest = join(parent.slice(dirname(parent).length), rest);
      parent = dirname(parent);
    }
  }
}
