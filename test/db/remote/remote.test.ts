import { afterAll, describe, expect, test } from 'bun:test';
import { sql } from 'drizzle-orm';
import { blob, integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { openRemoteDatabase } from '../../../src/db/remote.ts';
import { describeDatabase } from '../../contracts/database.ts';
import { recordingLog } from '../../support/fakes.ts';
import { sqldProgram, startSqld } from '../../support/sqld.ts';

const server = sqldProgram ? await startSqld({ namespaces: ['first'], isAuthenticated: true }) : null;
afterAll(async () => server?.[Symbol.asyncDispose]());

let count = 0;
/** A database of its own on the server. @param scheme as an operator may write it. */
const openNew = async (scheme = 'http:') => {
  if (!server) throw new Error('sqld is missing');
  const namespace = `remote${++count}`;
  await server.createNamespace(namespace);
  return openRemoteDatabase({
    name: 'main',
    url: server.url(namespace).replace('http:', scheme),
    authToken: server.token({ p: { rw: { ns: [namespace] } } }),
    log: recordingLog(),
  });
};

describe.skipIf(!server)('a remote database', () => {
  describeDatabase('remote over http', { open: () => openNew() });
  describeDatabase('remote by a ws address', { open: () => openNew('ws:') });

  test('stores values as the embedded engine does, and gives them back so', async () => {
    const table = sqliteTable('kinds', {
      id: integer('id').primaryKey(),
      bytes: blob('bytes', { mode: 'buffer' }),
      flag: integer('flag', { mode: 'boolean' }),
      at: integer('at', { mode: 'timestamp_ms' }),
      ratio: real('ratio'),
      any: text('any'),
    });
    const bytes = Buffer.from([0, 255, 1, 0]);
    const rows = [
      { id: 1, bytes: bytes.subarray(1), flag: true, at: new Date(1_700_000_000_123), ratio: 0.1, any: 'x' },
      { id: 2, bytes: null, flag: false, at: null, ratio: Number.NaN, any: null },
      { id: 2 ** 53 - 1, bytes: Buffer.alloc(0), flag: null, at: null, ratio: -1e300, any: '\u0000é🔑' },
    ];
    const seen = [];
    for (const database of [await openNew(), await openEmbeddedDatabase({ name: 'main', path: ':memory:' })]) {
      await database.write((tx) =>
        tx.run(sql`CREATE TABLE kinds (id INTEGER PRIMARY KEY, bytes, flag, at, ratio, any)`),
      );
      await database.write((tx) => tx.insert(table).values(rows));
      const classes = sql`SELECT typeof(bytes), typeof(flag), typeof(at), typeof(ratio), typeof(any) FROM kinds ORDER BY id`;
      const parameters = sql`SELECT typeof(${1}), typeof(${1.5}), typeof(${2 ** 53}), typeof(${true}), typeof(${5n}), ${'é'}`;
      seen.push({
        rows: await database.read.select().from(table).orderBy(table.id).all(),
        classes: await database.read.values(classes),
        parameters: await database.read.values(parameters),
      });
      await database.close();
    }
    expect(seen[0]).toEqual(seen[1] as never);
    expect(seen[0]?.rows[0]?.bytes).toEqual(bytes.subarray(1));
  });

  test.each<[string, unknown]>([
    ['infinity', Number.POSITIVE_INFINITY],
    ['an integer of more than 64 bits', 2n ** 63n],
    ['an object', {}],
  ])('refuses %s as a value, and is none the worse for it', async (_, value) => {
    const database = await openNew();
    await expect(Promise.resolve(database.read.values(sql`SELECT ${value}`))).rejects.toThrow();
    await expect(database.write((tx) => tx.values(sql`SELECT ${value}`))).rejects.toThrow();
    await database.ping();
    await database.close();
  });

  test.each([
    'INSERT INTO kept VALUES (1)',
    'WITH x AS (SELECT 1) INSERT INTO kept SELECT * FROM x',
    'DROP TABLE kept',
  ])('reads cannot write: %s', async (statement) => {
    const database = await openNew();
    await database.write((tx) => tx.run(sql`CREATE TABLE kept (id INTEGER)`));
    await expect(Promise.resolve(database.read.run(sql.raw(statement)))).rejects.toThrow();
    expect(await database.read.values(sql`SELECT * FROM kept`)).toEqual([]);
    await database.close();
  });

  test('statements of one transaction that are not awaited run in their order', async () => {
    const database = await openNew();
    await database.write((tx) => tx.run(sql`CREATE TABLE kept (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER)`));
    await database.write((tx) =>
      Promise.all(Array.from({ length: 10 }, (_, n) => tx.run(sql`INSERT INTO kept (n) VALUES (${n})`))),
    );
    const rows = await database.read.values(sql`SELECT n FROM kept ORDER BY id`);
    expect(rows.flat()).toEqual(Array.from({ length: 10 }, (_, n) => n));
    await database.close();
  });
});

describe.skipIf(!server)('a server that is a replica itself', () => {
  test('is written through and read from', async () => {
    await using primary = await startSqld();
    await using replica = await startSqld({ primaryGrpcUrl: primary.grpcUrl });
    const database = openRemoteDatabase({ name: 'main', url: replica.url(), log: recordingLog() });
    await database.write((tx) => tx.run(sql`CREATE TABLE kept (id INTEGER PRIMARY KEY)`));
    await database.write((tx) => tx.run(sql`INSERT INTO kept VALUES (1)`));
    expect(await database.read.values(sql`SELECT id FROM kept`)).toEqual([[1]]);
    await expect(database.write((tx) => tx.run(sql`INSERT INTO kept VALUES (1)`))).rejects.toThrow('unique');
    await database.close();
  });
});
