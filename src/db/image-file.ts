import { existsSync } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { databaseProblems } from '../kernel/problems.ts';
import type { ImageReport } from '../ports/database-images.ts';
import type { Engine, EngineConnection } from './engine.ts';
import { libsqlEngine } from './libsql-engine.ts';
import { sqliteEngine } from './sqlite-engine.ts';

/** A file that a library of SQLite's opens, and how. */
export interface ImageFile {
  readonly path: string;
  readonly engine: Engine['name'];
  readonly encryptionKey?: string | undefined;
}

/** How many faults of one kind are told. */
const MOST_FAULTS = 100;

/** Opens a file to read from it. */
export function openFile({ path, engine, encryptionKey }: ImageFile): Promise<EngineConnection> {
  const library = engine === 'libsql' ? libsqlEngine : sqliteEngine;
  return library.open({ path, isReadOnly: true, encryptionKey });
}

/**
 * Copies a live database into a new file. It holds this thread for as long as that takes, so it belongs in a process of its own.
 * Throws what the library throws.
 */
export async function copyDatabase(source: ImageFile, target: string): Promise<void> {
  const connection = await openFile(source);
  try {
    await connection.execute('PRAGMA busy_timeout = 10000');
    const hasVectors = "SELECT 1 FROM sqlite_schema WHERE sql LIKE '%libsql_vector_idx%' LIMIT 1";
    if ((await connection.execute(hasVectors)).rows.length > 0) await copyPages(connection, source, target);
    else await connection.execute({ sql: 'VACUUM INTO ?', args: [target] });
  } finally {
    connection.close();
  }
}

/**
 * Copies the file and then its log, for indexes that libSQL cannot make a second time. While a read transaction is open nobody
 * throws away a part of the log that the file may lack (https://sqlite.org/wal.html §2.3), so the two together hold every commit
 * up to some moment. Another process reads them: closing either here would drop the locks that this one has.
 */
async function copyPages(connection: EngineConnection, source: ImageFile, target: string): Promise<void> {
  await connection.execute('BEGIN');
  await connection.execute('SELECT 1 FROM sqlite_schema LIMIT 1');
  for (const suffix of existsSync(`${source.path}-wal`) ? ['', '-wal'] : ['']) {
    const { exitCode, stderr } = Bun.spawnSync(['cp', `${source.path}${suffix}`, `${target}${suffix}`]);
    if (exitCode === 0) continue;
    const reason = stderr.toString().trim();
    const isFull = reason.includes('No space left');
    throw databaseProblems.create(isFull ? 'full' : 'unavailable', { cause: new Error(reason) });
  }
  await connection.execute('ROLLBACK');
  const copy = await openFile({ ...source, path: target });
  try {
    await copy.execute('PRAGMA journal_mode = DELETE');
  } finally {
    copy.close();
  }
}

/** Throws `database/full` unless a copy of the file fits where it is to go. */
export async function requireRoom(source: string, target: string): Promise<void> {
  const sizeOf = (path: string) =>
    stat(path).then(
      ({ size }) => size,
      () => 0,
    );
  const needed = (await sizeOf(source)) + (await sizeOf(`${source}-wal`));
  const { bavail, bsize } = await statfs(dirname(target));
  if (bavail * bsize < needed) throw databaseProblems.create('full');
}

/** Reads a whole image and says what it holds and what is wrong with it. Holds this thread, as {@link copyDatabase}. */
export async function inspectFile(image: ImageFile): Promise<ImageReport> {
  try {
    const connection = await openFile(image);
    try {
      return await inspect(connection);
    } finally {
      connection.close();
    }
  } catch (error) {
    // What cannot be read at all is a finding like others.
    const reason = error instanceof Error ? error.message : 'unknown';
    return { problems: [`the image cannot be read: ${reason}`], tables: {}, migrations: [] };
  }
}

async function inspect(connection: EngineConnection): Promise<ImageReport> {
  const rows = async (sql: string) => (await connection.execute(sql)).rows as unknown as unknown[][];
  const integrity = await rows(`PRAGMA integrity_check(${MOST_FAULTS})`);
  const problems = integrity.map(([fault]) => String(fault)).filter((fault) => fault !== 'ok');
  const orphans = await rows(
    `SELECT "table", count(*), "parent" FROM pragma_foreign_key_check GROUP BY 1, 3 LIMIT ${MOST_FAULTS}`,
  );
  for (const [table, count, parent] of orphans) problems.push(`${count} rows of ${table} name no row of ${parent}`);

  const names = await rows(
    `SELECT name FROM pragma_table_list
     WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name`,
  );
  const tables: Record<string, number> = {};
  for (const [name] of names) {
    const [[count] = []] = await rows(`SELECT count(*) FROM ${quoted(String(name))}`);
    tables[String(name)] = Number(count);
  }
  const history =
    'bunkhouse_migrations' in tables ? await rows('SELECT name FROM bunkhouse_migrations ORDER BY name') : [];
  return { problems, tables, migrations: history.map(([name]) => String(name)) };
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
