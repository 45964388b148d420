import { Database as Sqlite } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { databaseImages } from '../../../src/db/database-images.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import { type DatabaseLocation, openDatabase } from '../../../src/db/registry.ts';
import { users } from '../../../src/db/schema/auth.ts';
import { files } from '../../../src/db/schema/uploads.ts';
import type { Database } from '../../../src/ports/database.ts';
import { recordingLog } from '../../support/fakes.ts';
import { type Sqld, sqldProgram, startSqld } from '../../support/sqld.ts';

describe.skipIf(!sqldProgram)('images of a database on a server', () => {
  let sqld: Sqld;
  let directory: string;
  let location: DatabaseLocation;
  let database: Database;
  beforeAll(async () => {
    sqld = await startSqld({ isAuthenticated: true });
    directory = await mkdtemp(join(tmpdir(), 'bunkhouse-dump-'));
    location = { kind: 'remote', name: 'main', url: sqld.url(), authToken: sqld.token({ a: 'rw' }) };
    database = await openDatabase(location, { log: recordingLog() });
    await migrate(database, loadMigrations());
    await database.write(async (tx) => {
      await tx
        .insert(users)
        .values({ id: 'u1', email: 'u1@example.org', passwordHash: '-', createdAt: 1, updatedAt: 1 });
      for (let n = 0; n < 20; n++) await tx.insert(files).values(file(n));
      await tx.run(sql`CREATE TABLE odd ("a;b" TEXT, body BLOB, real REAL, id INTEGER PRIMARY KEY AUTOINCREMENT)`);
      for (const [text, body, real] of ODD)
        await tx.run(sql`INSERT INTO odd ("a;b", body, real) VALUES (${text}, ${body}, ${real})`);
      await tx.run(sql`DELETE FROM odd WHERE id = ${ODD.length}`);
      await tx.run(sql`CREATE VIRTUAL TABLE words USING fts5(body)`);
      await tx.run(sql`INSERT INTO words VALUES ('found by its words')`);
      await tx.run(sql`CREATE TABLE points (id INTEGER PRIMARY KEY, at F32_BLOB(2))`);
      await tx.run(sql`CREATE INDEX points_at ON points (libsql_vector_idx(at))`);
      await tx.run(sql`INSERT INTO points VALUES (1, vector('[1,2]'))`);
    });
  });
  afterAll(async () => {
    await database.close();
    await sqld[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  test('hold its tables, texts, blobs, numbers, triggers and search, as any SQLite reads them', async () => {
    const images = databaseImages([location]);
    const path = join(directory, 'image.sqlite');
    expect(images.names).toEqual(['main']);
    await images.take('main', path);
    const report = await images.inspect(path, 'main');
    expect(report.problems).toEqual([]);
    expect(report.tables).toMatchObject({ users: 1, files: 20, odd: ODD.length - 1, points: 1 });
    expect(report.migrations).toEqual(loadMigrations().map(({ name }) => name));

    const image = new Sqlite(path);
    const rows = image.query('SELECT "a;b", body, real FROM odd ORDER BY id').values();
    expect(rows.map(([text, body, real]) => [text, [...(body as Uint8Array)], real])).toEqual(
      ODD.slice(0, -1).map(([text, body, real]) => [text, [...body], real]),
    );
    expect(image.query("SELECT body FROM words WHERE words MATCH 'words'").values()).toEqual([['found by its words']]);
    // Numbers that were given away are not given away again, and triggers work.
    image.run(`INSERT INTO odd ("a;b") VALUES ('next')`);
    expect(image.query('SELECT max(id) FROM odd').values()).toEqual([[ODD.length + 1]]);
    image.run("DELETE FROM files WHERE id = 'f00'");
    expect(image.query('SELECT object_key FROM doomed_objects').values()).toEqual([['files/f00']]);
    image.close();
  });

  test('give files and accounts, from the image and from the server alike', async () => {
    const images = databaseImages([location]);
    const path = join(directory, 'files.sqlite');
    await images.take('main', path);
    const inImage = await Array.fromAsync(images.files(path, 'u1'));
    expect(inImage).toHaveLength(20);
    expect(await Array.fromAsync(images.liveFiles('u1'))).toEqual(inImage);
    expect(await images.fileTotals(path)).toEqual({ count: 20, bytes: 60 });
    expect(await images.liveAccount('u1@example.org')).toEqual({
      id: 'u1',
      email: 'u1@example.org',
      name: '',
      createdAt: 1,
    });
    expect(await images.liveAccount('nobody')).toBeNull();
  });

  test.each([
    ['without a right', (): DatabaseLocation => ({ kind: 'remote', name: 'main', url: sqld.url() })],
    ['that is not there', (): DatabaseLocation => ({ kind: 'remote', name: 'main', url: 'http://127.0.0.1:1' })],
  ])('of a server %s fail and leave nothing', async (_, place) => {
    const path = join(directory, 'none.sqlite');
    const taking = databaseImages([place()]).take('main', path);
    expect(await taking.catch((error: unknown) => error)).toMatchObject({ code: 'database/unavailable' });
    expect((await readdir(directory)).filter((name) => name.startsWith('none'))).toEqual([]);
  });
});

const DUMPS: readonly [what: string, body: string][] = [
  ['a dump that was cut', 'PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE a (b);\n'],
  ['a dump that failed', 'BEGIN TRANSACTION;\nCREATE TABLE a (b);\nROLLBACK; -- due to errors\n'],
  ['another file', "ATTACH DATABASE '/etc/passwd' AS other;\nCOMMIT;\n"],
  ['a copy to elsewhere', "VACUUM INTO '/tmp/elsewhere';\nCOMMIT;\n"],
  ['a page of a proxy', '<html>no database here</html>'],
  ['nothing', ''],
];

test.each(DUMPS)('what sends %s is not taken for a database', async (_, body) => {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-dump-'));
  using server = Bun.serve({ port: 0, fetch: () => new Response(body) });
  const location: DatabaseLocation = { kind: 'remote', name: 'main', url: server.url.href };
  const taking = databaseImages([location]).take('main', join(directory, 'image.sqlite'));
  expect(await taking.catch((error: unknown) => error)).toMatchObject({ code: 'database/unavailable' });
  expect(await readdir(directory)).toEqual([]);
  await rm(directory, { recursive: true });
});

const ODD: readonly [text: string, body: Uint8Array, real: number][] = [
  [`it's; -- /* "quoted`, new Uint8Array([0, 255]), 0.1],
  ['line\nbreak; END;\r\nü 😀 \\n', new Uint8Array(), 1e300],
  ['x'.repeat(300_000), new Uint8Array(100_000).fill(7), -1 / 3],
  ['the last one is deleted', new Uint8Array(), 0.5],
];

function file(n: number) {
  const id = `f${String(n).padStart(2, '0')}`;
  const sha256 = String((n * 7) % 20).padStart(64, '0');
  const kind = { type: 'text/plain', visibility: 'private' as const };
  return {
    id,
    ownerId: 'u1',
    name: id,
    size: 3,
    sha256,
    objectKey: `files/${id}`,
    ...kind,
    createdAt: 5,
    updatedAt: 6,
  };
}
