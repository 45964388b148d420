import { Database as Sqlite } from 'bun:sqlite';
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { databaseImages } from '../../../src/db/database-images.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import { openDatabase } from '../../../src/db/registry.ts';
import { backups } from '../../../src/db/schema/backups.ts';
import { objectPaths } from '../../../src/drivers/disk-object-paths.ts';
import { diskObjectStore } from '../../../src/drivers/disk-object-store.ts';
import { AppError } from '../../../src/kernel/errors.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import type { Manifest } from '../../../src/modules/backups/manifest.ts';
import { isRestorePending } from '../../../src/modules/backups/pending-restore.ts';
import { prepareRestore } from '../../../src/modules/backups/restore.ts';
import { planRestore } from '../../../src/modules/backups/restore-plan.ts';
import type { FileRow } from '../../../src/ports/database-images.ts';
import { recordingLog } from '../../support/fakes.ts';
import { hostOf, prepare, putInPlace, targetOf } from './restoring.ts';
import { openSystem, type TestSystem } from './system.ts';

setDefaultTimeout(60_000);

/** A system with a backup of it, that went on afterwards: a file was deleted with its object, another one came. */
async function backedUp() {
  await using stack = new AsyncDisposableStack();
  const system = stack.use(await openSystem());
  const { alice, bob } = system.people;
  const kept = await system.addFile(alice, 'kept');
  const deleted = await system.addFile(alice, 'deleted later');
  const twin = await system.addFile(bob, 'kept');
  const empty = await system.addFile(bob, '');
  const manifest = await system.manifest((await system.create()).id);
  await system.removeFile(deleted.id);
  await system.objects.delete(deleted.objectKey);
  const later = await system.addFile(bob, 'came later');
  const held = stack.move();
  const rows = [kept, deleted, twin, empty];
  return { ...system, manifest, rows, kept, deleted, later, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** Ids of the files that the database at its final place names, each of whose objects is there with its content. */
async function filesOf({ dataDir, objects }: Pick<TestSystem, 'dataDir' | 'objects'>): Promise<string[]> {
  const database = new Sqlite(join(dataDir, 'main.db'), { readwrite: true });
  const rows = database.query('SELECT id, object_key AS objectKey, sha256 FROM files ORDER BY id').all() as FileRow[];
  database.close();
  for (const { objectKey, sha256 } of rows) {
    const found = await objects.get(objectKey);
    const content = Buffer.from(await new Response(found?.body).arrayBuffer());
    expect([objectKey, createHash('sha256').update(content).digest('hex')]).toEqual([objectKey, sha256]);
  }
  return rows.map(({ id }) => id);
}

const idsOf = (rows: readonly FileRow[]) => rows.map(({ id }) => id).sort();

const failureOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'it did not fail',
    (error: unknown) => (error instanceof AppError ? `${error.code}: ${error.detail}` : String(error)),
  );

/** Turns one bit of an object of the repository. */
async function flipBit({ root }: Pick<TestSystem, 'root'>, key: string): Promise<void> {
  const path = join(root, 'repository', key);
  const bytes = await readFile(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] as number) ^ 1;
  await writeFile(path, bytes);
}

async function blobOf(
  { repository, manifest }: { repository: TestSystem['repository']; manifest: Manifest },
  row: FileRow,
) {
  for await (const line of repository.list(manifest)) if (line.sha256 === row.sha256) return line.key;
  throw new Error('the backup has no such blob');
}

test('the state of the backup comes back whole: rows, files and the secret', async () => {
  await using system = await backedUp();
  const { dataDir, manifest, rows, deleted } = system;
  await writeFile(join(dataDir, 'secret'), 'a newer one');
  const report = await prepare(system, { manifest });
  expect(report.files).toMatchObject({ kept: 3, put: 1, putBytes: deleted.size });
  expect(report.lost).toEqual([]);
  expect(await filesOf(system)).not.toContain(deleted.id);
  await system.database.close();
  expect((await putInPlace(dataDir)).status).toBe('swapped');
  expect(await filesOf(system)).toEqual(idsOf(rows));
  expect(await readFile(join(dataDir, 'secret'), 'utf8')).toBe('a secret of the installation');
  expect((await stat(join(dataDir, 'secret'))).mode & 0o777).toBe(0o600);
  // What was put is settled: nobody takes it for a leftover.
  expect(await Array.fromAsync(system.objects.unsettled())).toEqual([]);
});

test('objects that are missing or have other bytes are put back, those that are right are left alone', async () => {
  await using system = await backedUp();
  const { dataDir, manifest, kept, rows } = system;
  const path = objectPaths(join(dataDir, 'objects')).finalPath(kept.objectKey);
  await writeFile(path, 'KEPT');
  const report = await prepare(system, { manifest });
  expect(report.files).toMatchObject({ kept: 2, put: 2 });
  await system.database.close();
  await putInPlace(dataDir);
  expect(await filesOf(system)).toEqual(idsOf(rows));
});

test('an object on a bad sector is put back like one that is missing', async () => {
  await using system = await backedUp();
  const { dataDir, manifest, kept, rows } = system;
  const unreadable = () => {
    const error = Object.assign(new Error('input/output error'), { code: 'EIO' });
    return new ReadableStream({ pull: (stream) => stream.error(error) });
  };
  let isDeleted = false;
  const objects: TestSystem['objects'] = {
    ...system.objects,
    async get(key, range) {
      const found = await system.objects.get(key, range);
      return found && key === kept.objectKey && !isDeleted ? { ...found, body: unreadable() } : found;
    },
    async delete(key) {
      if (key === kept.objectKey) isDeleted = true;
      await system.objects.delete(key);
    },
  };
  const report = await prepare({ ...system, objects }, { manifest });
  expect(report.files).toMatchObject({ kept: 2, put: 2 });
  expect(report.lost).toEqual([]);
  await system.database.close();
  await putInPlace(dataDir);
  expect(await filesOf(system)).toEqual(idsOf(rows));
});

test('on an empty machine everything comes from the repository', async () => {
  await using system = await backedUp();
  const { dataDir, manifest, rows } = system;
  await system.database.close();
  await rm(dataDir, { recursive: true });
  const machine = { ...system, objects: diskObjectStore({ root: join(dataDir, 'objects') }) };
  const report = await prepare(machine, { manifest });
  expect(report.files).toMatchObject({ kept: 0, put: 4 });
  await putInPlace(dataDir);
  expect(await filesOf(machine)).toEqual(idsOf(rows));
  expect((await readdir(dataDir)).filter((name) => name.includes('restore'))).toEqual([]);
});

test('the preview says what would change, and changes nothing', async () => {
  await using system = await backedUp();
  const { dataDir, manifest, deleted, rows } = system;
  const before = await readdir(dataDir);
  const plan = await planRestore(hostOf(system), targetOf(system), { id: uuidv7(), manifest });
  expect(plan.databases).toMatchObject([{ name: 'main', path: join(dataDir, 'main.db') }]);
  // One file was deleted and one has come.
  expect(plan.databases[0]?.changes).toEqual([{ table: 'doomed_objects', rowsNow: 1, rowsThen: 0 }]);
  const bytes = rows.reduce((sum, { size }) => sum + size, 0);
  expect(plan.files).toEqual({ count: 4, bytes, missing: { count: 1, bytes: deleted.size }, lost: 0 });
  expect(await readdir(dataDir)).toEqual(before);
});

test('a backup of a newer schema is refused before anything is written', async () => {
  await using system = await backedUp();
  const known = loadMigrations().map(({ name }) => name);
  const changes = { knownMigrations: known.slice(0, -1) };
  const failure = await failureOf(prepare(system, { manifest: system.manifest }, { changes }));
  expect(failure).toStartWith('backups/newer-schema');
  expect(failure).toContain(known.at(-1) as string);
  expect(isRestorePending(system.dataDir)).toBe(false);
});

test('a database of an older schema is brought up to date at the side path', async () => {
  await using system = await openSystem();
  const { dataDir, root } = system;
  const location = { kind: 'file', name: 'main', path: join(root, 'older.db'), engine: 'sqlite' } as const;
  const older = await openDatabase(location, { log: recordingLog() });
  await migrate(older, loadMigrations().slice(0, -2));
  await older.write((tx) =>
    tx.run(sql`INSERT INTO users (id, email, password_hash, created_at, updated_at)
    VALUES ('u1', 'ada@example.org', '-', 1, 1)`),
  );
  await older.close();
  const { id } = await system.create({}, { images: databaseImages([location]) });
  const manifest = await system.manifest(id);
  const migrations = loadMigrations()
    .slice(-2)
    .map(({ name }) => name);
  const plan = await planRestore(hostOf(system), targetOf(system), { id: uuidv7(), manifest });
  expect(plan.migrations).toEqual(migrations);
  expect((await prepare(system, { manifest })).migrations).toEqual(migrations);
  await system.database.close();
  await putInPlace(dataDir);
  const restored = new Sqlite(join(dataDir, 'main.db'), { readwrite: true });
  expect(restored.query('SELECT email FROM users').all()).toEqual([{ email: 'ada@example.org' }]);
  expect(restored.query('SELECT max(name) AS head FROM bunkhouse_migrations').get()).toEqual({ head: migrations[1] });
  restored.close();
});

describe('damage in the repository', () => {
  test('to an image stops the restore, and names the object', async () => {
    await using system = await backedUp();
    const key = system.manifest.databases[0]?.image.key as string;
    await flipBit(system, key);
    expect(await failureOf(prepare(system, { manifest: system.manifest }))).toMatch(/^backups\/damaged: /);
    expect(await failureOf(prepare(system, { manifest: system.manifest }))).toContain(key);
    expect(isRestorePending(system.dataDir)).toBe(false);
    expect((await readdir(system.dataDir)).filter((name) => name.startsWith('restore'))).toEqual([]);
  });

  test('that is found inside an image is told as that, though contents were on their way', async () => {
    await using system = await backedUp();
    const putting = Promise.withResolvers<void>();
    const inspect = async () => {
      await putting.promise;
      return { problems: ['page 7 is never used'], tables: {}, migrations: [] };
    };
    const { putFile: _, ...objects } = system.objects;
    const put: typeof objects.put = (_key, _body, { signal } = {}) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason));
        putting.resolve();
      });
    const restoring = prepareRestore(
      hostOf(system, { images: { ...hostOf(system).images, inspect } }),
      { ...targetOf(system), objects: { ...objects, put } },
      { id: uuidv7(), manifest: system.manifest },
    );
    const { key } = system.manifest.databases[0]?.image ?? {};
    expect(await failureOf(restoring)).toBe(`backups/damaged: The object ${key} is damaged: page 7 is never used.`);
    expect(isRestorePending(system.dataDir)).toBe(false);
  });

  test('to the content of a file stops it too, unless the loss is accepted', async () => {
    await using system = await backedUp();
    const { manifest, deleted, rows, dataDir } = system;
    await flipBit(system, await blobOf(system, deleted));
    const failure = await failureOf(prepare(system, { manifest }));
    expect(failure).toStartWith('backups/damaged: 1 files');
    expect(failure).toContain(deleted.id);
    expect(isRestorePending(dataDir)).toBe(false);
    const report = await prepare(system, { manifest, acceptsLoss: true });
    expect(report.lost).toMatchObject([{ fileId: deleted.id, reason: 'damaged-backup' }]);
    await system.database.close();
    await putInPlace(dataDir);
    const database = new Sqlite(join(dataDir, 'main.db'), { readwrite: true });
    expect(database.query('SELECT count(*) AS count FROM files').get()).toEqual({ count: rows.length });
    database.close();
  });

  test('leaves the live bytes alone, though they are not right either', async () => {
    await using system = await backedUp();
    const { manifest, kept, dataDir } = system;
    const path = objectPaths(join(dataDir, 'objects')).finalPath(kept.objectKey);
    await writeFile(path, 'kepT');
    await flipBit(system, await blobOf(system, kept));
    const report = await prepare(system, { manifest, acceptsLoss: true });
    expect(report.lost.map(({ fileId }) => fileId)).toContain(kept.id);
    expect(await readFile(path, 'utf8')).toBe('kepT');
  });

  test('of a blob that is gone is told in the same way', async () => {
    await using system = await backedUp();
    await rm(join(system.root, 'repository', await blobOf(system, system.deleted)));
    expect(await failureOf(prepare(system, { manifest: system.manifest }))).toContain(system.deleted.id);
  });

  test('does not matter where the live bytes are right', async () => {
    await using system = await backedUp();
    await flipBit(system, await blobOf(system, system.kept));
    expect((await prepare(system, { manifest: system.manifest })).lost).toEqual([]);
  });
});

test('what is cancelled leaves nothing pending, and a second try works', async () => {
  await using system = await backedUp();
  const { manifest, dataDir, objects, deleted } = system;
  const stop = new AbortController();
  const changes = {
    images: {
      ...hostOf(system).images,
      inspect: async (path: string, name?: string) => {
        stop.abort(new Error('enough'));
        return hostOf(system).images.inspect(path, name);
      },
    },
  };
  expect(await failureOf(prepare(system, { manifest }, { changes, on: { signal: stop.signal } }))).toContain('enough');
  expect(isRestorePending(dataDir)).toBe(false);
  expect((await readdir(dataDir)).filter((name) => name.startsWith('restore'))).toEqual([]);
  expect(await objects.get(deleted.objectKey)).toBeNull();
  expect((await prepare(system, { manifest })).files.put).toBe(1);
});

test('when the objects were not protected all the time, nothing becomes pending', async () => {
  await using system = await backedUp();
  const changes = { assertProtected: () => Promise.reject(new Error('lost')) };
  expect(await failureOf(prepare(system, { manifest: system.manifest }, { changes }))).toContain('lost');
  expect(isRestorePending(system.dataDir)).toBe(false);
});

test('an object that is deleted by somebody in the middle is noticed', async () => {
  await using system = await backedUp();
  const { manifest, kept, objects } = system;
  const changes = {
    prepareMain: async () => {
      await objects.delete(kept.objectKey);
      return [];
    },
  };
  const failure = await failureOf(prepare(system, { manifest }, { changes }));
  expect(failure).toContain('storage/unavailable');
  expect(failure).toContain(kept.id);
  expect(isRestorePending(system.dataDir)).toBe(false);
});

test('work on backups that waited when the backup was taken is not begun in the restored state', async () => {
  await using system = await openSystem();
  const { dataDir, database } = system;
  const id = uuidv7();
  const rows = [
    { id, operation: 'create', status: 'running' },
    { id: uuidv7(), operation: 'restore', status: 'queued' },
    { id: uuidv7(), operation: 'verify', status: 'running' },
    { id: uuidv7(), operation: 'restore', status: 'done', isRestartRequired: true },
  ] as const;
  await database.write((tx) =>
    tx.insert(backups).values(rows.map((row) => ({ ...row, scope: 'system' as const, createdAt: 1 }))),
  );
  await system.create({ id });
  await prepare(system, { manifest: await system.manifest(id) });
  await database.close();
  await putInPlace(dataDir);
  const restored = new Sqlite(join(dataDir, 'main.db'), { readwrite: true });
  const found = restored
    .query(`SELECT status, is_kept AS kept, failure ->> 'code' AS failure, is_restart_required AS restart
      FROM backups ORDER BY id`)
    .all();
  restored.close();
  const rest = { kept: 0, failure: null, restart: 0 };
  expect(found).toEqual([
    { ...rest, status: 'done', kept: 1 },
    { ...rest, status: 'failed', failure: 'backups/interrupted' },
    { ...rest, status: 'failed', failure: 'backups/interrupted' },
    { ...rest, status: 'done' },
  ]);
});

test('every login ends when that is wished for', async () => {
  await using system = await backedUp();
  await prepare(system, { manifest: system.manifest, endsSessions: true });
  await system.database.close();
  await putInPlace(system.dataDir);
  const database = new Sqlite(join(system.dataDir, 'main.db'), { readwrite: true });
  expect(database.query('SELECT DISTINCT token_epoch AS epoch FROM users').all()).toEqual([{ epoch: 1 }]);
  database.close();
});

test('restored twice, with life in between, the second state counts and both old ones are kept', async () => {
  await using system = await backedUp();
  const { dataDir, manifest, rows } = system;
  await system.database.close();
  for (const round of [1, 2]) {
    await prepare(system, { manifest });
    await prepare(system, { manifest });
    await putInPlace(dataDir);
    expect(await filesOf(system)).toEqual(idsOf(rows));
    const database = new Sqlite(join(dataDir, 'main.db'), { readwrite: true });
    database.run('DELETE FROM files WHERE id = ?', [rows[0]?.id as string]);
    database.close();
    expect((await readdir(dataDir)).filter((name) => name.startsWith('pre-restore-')).length).toBe(round);
  }
});

test('a database that is not in a file here is refused with what to do instead', async () => {
  await using system = await backedUp();
  const target = { ...targetOf(system), databasePath: () => null };
  const failure = await failureOf(prepareRestore(hostOf(system), target, { id: uuidv7(), manifest: system.manifest }));
  expect(failure).toStartWith('backups/remote-database');
  expect(failure).toContain('--database main --to FILE');
});

test('what died before leaves no directory behind', async () => {
  await using system = await backedUp();
  const stale = join(system.dataDir, `restore-${uuidv7()}`);
  await Bun.write(join(stale, 'main.db'), 'half');
  await prepare(system, { manifest: system.manifest });
  expect(existsSync(stale)).toBe(false);
});
