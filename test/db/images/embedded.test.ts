import { Database as Sqlite } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
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

type FileLocation = Extract<DatabaseLocation, { kind: 'file' }>;
const KINDS: Pick<FileLocation, 'engine' | 'encryptionKey'>[] = [
  { engine: 'sqlite' },
  { engine: 'libsql' },
  { engine: 'libsql', encryptionKey: 'a key of the database' },
];

describe.each(KINDS)('images of $engine files (key: $encryptionKey)', (kind) => {
  let directory: string;
  let location: FileLocation;
  let database: Database;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bunkhouse-images-'));
    location = { kind: 'file', name: 'main', path: join(directory, 'main.db'), ...kind };
    database = await openDatabase(location, { log: recordingLog() });
    await migrate(database, loadMigrations());
    for (const id of ['u1', 'u2']) await database.write((tx) => tx.insert(users).values(account(id)));
    for (const id of ['f3', 'f1', 'f2']) await database.write((tx) => tx.insert(files).values(file(id)));
  });
  afterEach(async () => {
    await database.close();
    await rm(directory, { recursive: true, force: true });
  });

  test('hold what was committed, count it, and name the migrations', async () => {
    const images = databaseImages([location]);
    const path = join(directory, 'image.sqlite');
    await images.take('main', path);
    const report = await images.inspect(path, 'main');
    expect(report.problems).toEqual([]);
    expect(report.tables).toMatchObject({ users: 2, files: 3, doomed_objects: 0 });
    expect(report.migrations).toEqual(loadMigrations().map(({ name }) => name));
    expect((await readdir(directory)).filter((name) => name.startsWith('image'))).toEqual(['image.sqlite']);
  });

  test('give their files ordered by hash, all or of one owner, and accounts by id or address', async () => {
    const images = databaseImages([location]);
    const path = join(directory, 'image.sqlite');
    await images.take('main', path);
    // What changes afterwards is not in the image.
    await database.write((tx) => tx.delete(files).where(sql`id = 'f1'`));
    const all = await Array.fromAsync(images.files(path));
    expect(all.map(({ id }) => id)).toEqual(['f1', 'f2', 'f3']);
    expect(all[0]).toEqual({ ...file('f1'), visibility: 'private' });
    expect((await Array.fromAsync(images.files(path, 'u2'))).map(({ id }) => id)).toEqual(['f2']);
    expect((await Array.fromAsync(images.liveFiles('u1'))).map(({ id }) => id)).toEqual(['f3']);
    expect(await images.account(path, 'u1@example.org')).toEqual({
      id: 'u1',
      email: 'u1@example.org',
      name: '',
      createdAt: 1,
    });
    expect(await images.liveAccount('u2')).toMatchObject({ id: 'u2' });
    expect(await images.account(path, 'nobody')).toBeNull();
  });

  test('are consistent while the database is written to', async () => {
    await database.write((tx) => tx.run(sql`CREATE TABLE ledger (id INTEGER PRIMARY KEY, body TEXT)`));
    await database.write((tx) => tx.run(sql`CREATE TABLE total (n INTEGER)`));
    await database.write((tx) => tx.run(sql`INSERT INTO total VALUES (0)`));
    let isOver = false;
    let written = 0;
    const writing = (async () => {
      while (!isOver) {
        await database.write(async (tx) => {
          await tx.run(sql`INSERT INTO ledger (body) VALUES (${'x'.repeat(500)})`);
          await tx.run(sql`UPDATE total SET n = n + 1`);
        });
        written++;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const images = databaseImages([location]);
    for (let round = 0; round < 3; round++) {
      const before = written;
      const path = join(directory, `image-${round}.sqlite`);
      await images.take('main', path);
      const report = await images.inspect(path, 'main');
      expect(report.problems).toEqual([]);
      expect(report.tables['ledger']).toBeGreaterThanOrEqual(before);
    }
    isOver = true;
    await writing;
  });

  test('are refused into a file that exists, and a run that is aborted leaves none', async () => {
    const images = databaseImages([location]);
    const path = join(directory, 'image.sqlite');
    const controller = new AbortController();
    const taking = images.take('main', path, controller.signal).then(
      () => 'taken',
      (error: unknown) => error,
    );
    controller.abort(new Error('not wanted any more'));
    expect(await taking).toBe(controller.signal.reason);
    expect(await readdir(directory)).not.toContain('image.sqlite');
  });

  test('with a flipped page are reported, not thrown', async () => {
    const images = databaseImages([location]);
    const path = join(directory, 'image.sqlite');
    await images.take('main', path);
    const handle = await open(path, 'r+');
    const { size } = await handle.stat();
    for (let at = 4096; at < size; at += 4096) await handle.write(new Uint8Array(64).fill(0xff), 0, 64, at);
    await handle.close();
    const report = await images.inspect(path, 'main');
    expect(report.problems.length).toBeGreaterThan(0);
  });
});

test('an image of a plain database opens with any SQLite', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-images-'));
  const location: DatabaseLocation = { kind: 'file', name: 'main', path: join(directory, 'main.db'), engine: 'libsql' };
  const database = await openDatabase(location, { log: recordingLog() });
  await database.write((tx) => tx.run(sql`CREATE TABLE notes (body TEXT)`));
  await database.write((tx) => tx.run(sql`INSERT INTO notes VALUES ('kept')`));
  await databaseImages([location]).take('main', join(directory, 'image.sqlite'));
  await database.close();
  const image = new Sqlite(join(directory, 'image.sqlite'), { readonly: true });
  expect(image.query('SELECT body FROM notes').values()).toEqual([['kept']]);
  image.close();
  await rm(directory, { recursive: true, force: true });
});

test('an image of a database with a vector index is sound and still answers', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-images-'));
  const location: FileLocation = { kind: 'file', name: 'main', path: join(directory, 'main.db'), engine: 'libsql' };
  const database = await openDatabase(location, { log: recordingLog() });
  await database.write((tx) => tx.run(sql`CREATE TABLE points (id INTEGER PRIMARY KEY, at F32_BLOB(3))`));
  await database.write((tx) => tx.run(sql`CREATE INDEX points_at ON points (libsql_vector_idx(at))`));
  for (const id of [1, 2, 3])
    await database.write((tx) => tx.run(sql`INSERT INTO points VALUES (${id}, vector(${`[${id},1,0]`}))`));
  const path = join(directory, 'image.sqlite');
  const images = databaseImages([location]);
  await images.take('main', path);
  await database.close();
  expect((await images.inspect(path, 'main')).problems).toEqual([]);
  const restored = await openDatabase({ ...location, path }, { log: recordingLog() });
  expect(await restored.read.values(sql`SELECT id FROM vector_top_k('points_at', vector('[3,1,0]'), 1)`)).toEqual([
    [3],
  ]);
  await restored.close();
  await rm(directory, { recursive: true, force: true });
});

function account(id: string) {
  return { id, email: `${id}@example.org`, role: 'user' as const, passwordHash: '-', createdAt: 1, updatedAt: 1 };
}

function file(id: string) {
  const ownerId = id === 'f2' ? 'u2' : 'u1';
  const sha256 = id.repeat(32);
  return {
    id,
    ownerId,
    name: `${id}.txt`,
    size: 3,
    type: 'text/plain',
    sha256,
    objectKey: `files/${id}`,
    createdAt: 5,
    updatedAt: 6,
  };
}
