import { realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { HealthStatus } from '../kernel/checks.ts';
import { AppError } from '../kernel/errors.ts';
import type { Events } from '../kernel/events.ts';
import type { Database } from '../ports/database.ts';
import type { Logger } from '../ports/logger.ts';
import { openEmbeddedDatabase } from './embedded.ts';
import { libsqlEngine } from './libsql-engine.ts';
import { openRemoteDatabase } from './remote.ts';
import { openReplicaDatabase, type ReplicaStatus } from './replica.ts';
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
    }
  | {
      readonly kind: 'remote';
      readonly name: string;
      readonly url: string;
      readonly authToken?: string | undefined;
      /** File of an embedded replica, if there is to be one. */
      readonly replicaPath?: string | undefined;
    };

export interface OpenOptions {
  readonly log: Logger;
  /** Told when somebody has to act. */
  readonly onAlert?: (alert: Events['alerts/raised']) => void;
}

const ENGINES = { sqlite: sqliteEngine, libsql: libsqlEngine };

/** Files that are open in this process. Two libraries on one file would undo each other's locks and tear it. */
const openFiles = new Map<string, string>();

/**
 * Opens one database of any kind. A file is opened once in a process, whatever name or link leads to it.
 * @throws Error when the file is open already, or cannot be opened.
 */
export async function openDatabase(location: DatabaseLocation, options: OpenOptions): Promise<Database> {
  const { name } = location;
  switch (location.kind) {
    case 'memory':
      return openEmbeddedDatabase({ name, path: ':memory:' });
    case 'file': {
      const { engine, encryptionKey } = location;
      return holdingFile(location.path, name, (path) =>
        openEmbeddedDatabase({ name, path, engine: ENGINES[engine], encryptionKey }),
      );
    }
    case 'remote': {
      const { url, authToken, replicaPath } = location;
      const { log, onAlert } = options;
      if (replicaPath === undefined) return openRemoteDatabase({ name, url, authToken, log });
      return holdingFile(replicaPath, name, async (path) => {
        const remote = { url, authToken };
        const replica = await openReplicaDatabase({ name, path, remote, log, ...(onAlert ? { onAlert } : {}) });
        return { ...replica, health: async () => describeReplica(replica.status()) };
      });
    }
  }
}

async function holdingFile(file: string, name: string, open: (path: string) => Promise<Database>): Promise<Database> {
  const path = canonical(file);
  const holder = openFiles.get(path);
  if (holder !== undefined) throw new Error(`the databases ${holder} and ${name} are the same file`);
  openFiles.set(path, name);
  try {
    const database = await open(path);
    return {
      ...database,
      async close() {
        await database.close();
        openFiles.delete(path);
      },
    };
  } catch (error) {
    openFiles.delete(path);
    if (!(error instanceof AppError)) throw error;
    throw new Error(`the database ${name} could not be opened: ${error.detail}`, { cause: error });
  }
}

/** What operators are told of a replica. */
function describeReplica({ state, lagMs, lagFrames }: ReplicaStatus): HealthStatus {
  const lag = `lag ${lagMs === null ? 'unknown' : `${Math.round(lagMs)} ms`}${lagFrames === null ? '' : `, ${lagFrames} frames`}`;
  const isWell = state === 'current' || state === 'behind';
  return { status: isWell ? 'ok' : 'degraded', detail: `replica ${state}, ${lag}` };
}

/** The databases of one process. */
export interface Databases {
  readonly main: Database;
  /** `main` first. */
  readonly all: readonly Database[];
  close(): Promise<void>;
}

/** Opens all of them, or none: when one fails those that were opened are closed again. */
export async function openDatabases(locations: readonly DatabaseLocation[], options: OpenOptions): Promise<Databases> {
  const all: Database[] = [];
  const close = async () => {
    for (let database = all.pop(); database; database = all.pop()) await database.close();
  };
  try {
    for (const location of locations) all.push(await openDatabase(location, options));
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
