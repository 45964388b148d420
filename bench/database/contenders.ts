import { Database as Sqlite } from 'bun:sqlite';
import { join } from 'node:path';
import { createClient } from '@libsql/client';
import { eq, sql } from 'drizzle-orm';
import { drizzle as drizzleOnBun } from 'drizzle-orm/bun-sqlite';
import { drizzle as drizzleOnLibsql } from 'drizzle-orm/libsql';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import { asClient } from '../../src/db/engine.ts';
import { toQueries } from '../../src/db/queries.ts';
import { openRemoteDatabase } from '../../src/db/remote.ts';
import { openReplicaDatabase } from '../../src/db/replica.ts';
import { sqliteEngine } from '../../src/db/sqlite-engine.ts';
import type { Database, Queries } from '../../src/ports/database.ts';
import type { Logger } from '../../src/ports/logger.ts';
import { byId, ITEMS_SCHEMA, type Item, insertion, items, seedPortions } from './items.ts';

/** One way to the rows, seeded and ready. What answers at once gives no promise. */
export interface Contender {
  read(id: string): unknown;
  insert?(item: Item): Promise<unknown>;
}

export interface Place {
  /** Empty and one's own. */
  readonly directory: string;
  /** The libSQL server, for those that need one. It is seeded already. */
  readonly url?: string | undefined;
}

export const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  line: () => undefined,
  child: () => quiet,
  flush: () => undefined,
};

/** Each is opened in a process of its own. */
export const contenders = {
  /** Our port on its default engine: a write is on the disk before it is acknowledged. */
  async bunkhouse({ directory }) {
    const database = await openEmbeddedDatabase({ name: 'main', path: join(directory, 'main.db') });
    await seed(database);
    return through(database);
  },

  /** The engine below it on one connection: no write queue, no transaction around, no flush. */
  async engine({ directory }) {
    const connection = await sqliteEngine.open({ path: join(directory, 'main.db'), isReadOnly: false });
    for (const pragma of ['journal_mode = WAL', 'synchronous = NORMAL']) await connection.execute(`PRAGMA ${pragma}`);
    const queries = toQueries(asClient((statement) => connection.execute(statement)));
    await fill(queries);
    return directly(queries);
  },

  /** `@libsql/client` on a file with drizzle's own driver for it, as it comes: a rollback journal, and on the disk at each commit. */
  async 'libsql, as it comes'({ directory }) {
    const queries = drizzleOnLibsql(createClient({ url: `file:${join(directory, 'main.db')}` })) as unknown as Queries;
    await fill(queries);
    return directly(queries);
  },

  /** The same tuned for speed: a commit is on the disk some time after it was acknowledged. */
  libsql: ({ directory }) => openLibsql(directory, 'NORMAL'),

  /** The same, with every commit on the disk before it is acknowledged. */
  'libsql, flushing': ({ directory }) => openLibsql(directory, 'FULL'),

  /** Drizzle's prepared query on its driver for `bun:sqlite`, which keeps the statement. */
  async 'drizzle on bun:sqlite'({ directory }) {
    const sqlite = openSqlite(directory);
    const queries = drizzleOnBun(sqlite);
    const prepared = queries
      .select()
      .from(items)
      .where(eq(items.id, sql.placeholder('id')))
      .limit(1)
      .prepare();
    return { read: (id) => prepared.get({ id }) };
  },

  /** A kept statement and nothing else. */
  async 'bun:sqlite'({ directory }) {
    const statement = openSqlite(directory).query('SELECT * FROM bench_items WHERE id = ? LIMIT 1');
    return { read: (id) => statement.get(id) };
  },

  async replica({ directory, url = '' }) {
    const database = await openReplicaDatabase({
      name: 'main',
      path: join(directory, 'replica.db'),
      remote: { url },
      log: quiet,
    });
    while (database.status().state !== 'current') await Bun.sleep(10);
    return through(database);
  },

  async remote({ url = '' }) {
    return through(openRemoteDatabase({ name: 'main', url, log: quiet }));
  },
} satisfies Record<string, (place: Place) => Promise<Contender>>;

export type ContenderName = keyof typeof contenders;

/** Creates the table and its rows. */
export async function seed(database: Database): Promise<void> {
  await database.write((tx) => fill(tx));
}

async function fill(queries: Queries): Promise<void> {
  for (const statement of ITEMS_SCHEMA) await queries.run(sql.raw(statement));
  for (const portion of seedPortions()) await queries.insert(items).values(portion).run();
}

async function openLibsql(directory: string, synchronous: 'NORMAL' | 'FULL'): Promise<Contender> {
  // A PRAGMA holds for one connection; the others of a pool would be on FULL.
  const client = createClient({ url: `file:${join(directory, 'main.db')}`, concurrency: 1 });
  await client.execute('PRAGMA journal_mode = WAL');
  await client.execute(`PRAGMA synchronous = ${synchronous}`);
  const queries = drizzleOnLibsql(client) as unknown as Queries;
  await fill(queries);
  return directly(queries);
}

function openSqlite(directory: string): Sqlite {
  const sqlite = new Sqlite(join(directory, 'main.db'), { create: true });
  for (const pragma of ['journal_mode = WAL', 'synchronous = NORMAL']) sqlite.run(`PRAGMA ${pragma}`);
  for (const statement of ITEMS_SCHEMA) sqlite.run(statement);
  const queries = drizzleOnBun(sqlite);
  for (const portion of seedPortions()) queries.insert(items).values(portion).run();
  return sqlite;
}

function through(database: Database): Contender {
  return {
    read: (id) => byId(database.read).get({ id }),
    insert: (item) => database.write((tx) => insertion(tx).run({ ...item })),
  };
}

function directly(queries: Queries): Contender {
  return {
    read: (id) => byId(queries).get({ id }),
    insert: (item) => insertion(queries).run({ ...item }),
  };
}
