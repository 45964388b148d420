import { Database as Sqlite } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { databaseImages } from '../../../src/db/database-images.ts';
import type { JobProgress } from '../../../src/modules/backups/jobs.ts';
import type { UserIndex } from '../../../src/modules/backups/user-index.ts';
import { from } from '../../contracts/object-store.ts';
import { filesBelow } from '../../support/files-below.ts';
import { contentsOf, countingReads, openSystem, provenFiles } from './system.ts';

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  );

describe('a backup of the system', () => {
  test('holds the database, every content once, and the secret', async () => {
    await using system = await openSystem();
    const { alice, bob } = system.people;
    const large = randomBytes(3 * 2 ** 20);
    const added = [
      await system.addFile(alice, 'one'),
      await system.addFile(bob, 'one'),
      await system.addFile(alice, large),
      await system.addFile(bob, ''),
    ];
    const result = await system.create({ note: 'before the move' });
    expect(result).toMatchObject({ fileCount: 4, storedBlobs: 3, storedBytes: large.length + 3, damaged: [] });
    const manifest = await system.manifest(result.id);
    expect(manifest).toMatchObject({ scope: 'system', note: 'before the move', secret: 'included', damaged: [] });
    expect(manifest.databases[0]?.tables).toMatchObject({ files: 4, users: 2 });
    expect(await provenFiles(system, result.id)).toEqual(added.map(({ id }) => id).sort());
    const [sealed] = manifest.sealed;
    const secret = Buffer.concat(await Array.fromAsync(system.repository.openObject(sealed as never)));
    expect(JSON.parse(secret.toString())).toEqual({ secret: 'a secret of the installation' });
    expect((await system.repository.checks())[0]).toMatchObject({ kind: 'write', ok: true, snapshot: result.id });
    expect(await readdir(system.dataDir)).not.toContain('backups-work');
    expect(await filesBelow(join(system.root, 'repository/leases'))).toEqual([]);
  });

  test('takes all databases before it looks into any, so that they are of nearly one time', async () => {
    await using system = await openSystem();
    const shop = join(system.dataDir, 'shop.db');
    const file = new Sqlite(shop, { create: true });
    file.run('CREATE TABLE orders (id)');
    file.close();
    const places = { main: join(system.dataDir, 'main.db'), shop };
    const images = databaseImages(
      Object.entries(places).map(([name, path]) => ({ kind: 'file', name, path, engine: 'sqlite' })),
    );
    const told: string[] = [];
    const listened: typeof images = {
      ...images,
      async take(name, path, signal) {
        told.push(`take ${name}`);
        await images.take(name, path, signal);
      },
      inspect(path, name, signal) {
        told.push(`inspect ${name}`);
        return images.inspect(path, name, signal);
      },
    };
    const { id } = await system.create({}, { images: listened });
    expect(told).toEqual(['take main', 'take shop', 'inspect main', 'inspect shop']);
    expect((await system.manifest(id)).databases.map(({ name }) => name)).toEqual(['main', 'shop']);
  });

  test('taken again reads no file and stores no content again', async () => {
    await using system = await openSystem();
    for (let n = 0; n < 30; n++) await system.addFile(system.people.alice, `content ${n}`);
    await system.create();
    const before = await filesBelow(join(system.root, 'repository/blobs'));
    const { store, read } = countingReads(system.objects);
    const added = await system.addFile(system.people.bob, 'new');
    const second = await system.create({}, { objects: store });
    expect(read).toEqual([added.objectKey]);
    expect(second).toMatchObject({ fileCount: 31, storedBlobs: 1, storedBytes: 3 });
    expect((await filesBelow(join(system.root, 'repository/blobs'))).length).toBe(before.length + 1);
    expect(await provenFiles(system, second.id)).toHaveLength(31);
  });

  test('leaves what an older backup has as it lies there, whatever packed it', async () => {
    await using system = await openSystem();
    const first = await system.manifest((await system.create()).id);
    const [sealed] = first.sealed;
    const path = join(system.root, 'repository', sealed?.key as string);
    const packed = zstdCompressSync(zstdDecompressSync(await readFile(path)), {
      params: { [constants.ZSTD_c_checksumFlag]: 1 },
    });
    expect(packed.length).not.toBe(sealed?.storedBytes);
    await writeFile(path, packed);
    const second = await system.manifest((await system.create()).id);
    expect((await readFile(path)).equals(packed)).toBe(true);
    expect(second.sealed[0]).toMatchObject({ key: sealed?.key, storedBytes: packed.length });
  });

  test('names what was lost or wrong before, and has all the rest', async () => {
    await using system = await openSystem();
    const { alice } = system.people;
    const lost = await system.addFile(alice, 'lost');
    const wrong = await system.addFile(alice, 'wrong');
    const spare = await system.addFile(alice, 'one is enough');
    const twin = await system.addFile(alice, 'one is enough');
    await system.addFile(alice, 'well');
    await system.objects.delete(lost.objectKey);
    await system.objects.delete(spare.objectKey);
    await system.objects.delete(wrong.objectKey);
    await system.objects.put(wrong.objectKey, from([Buffer.from('WRONG')]));
    const result = await system.create();
    const damaged = [
      { fileId: lost.id, sha256: lost.sha256, reason: 'missing' },
      { fileId: wrong.id, sha256: wrong.sha256, reason: 'changed' },
    ];
    expect([...result.damaged].sort((a, b) => (a.fileId < b.fileId ? -1 : 1))).toEqual(damaged as never);
    const manifest = await system.manifest(result.id);
    expect(manifest.damaged).toHaveLength(2);
    expect([...(await contentsOf(system.repository, manifest)).keys()].sort()).not.toContain(lost.sha256);
    expect([...(await contentsOf(system.repository, manifest)).keys()]).toContain(twin.sha256);
  });

  test('is refused for a damaged database, and nothing is left of it', async () => {
    await using system = await openSystem();
    const images = databaseImages([system.location]);
    const inspect = async () => ({ problems: ['row 3 missing from index files_owner'], tables: {}, migrations: [] });
    const code = await codeOf(system.create({}, { images: { ...images, inspect } }));
    expect(code).toBe('backups/damaged-database');
    expect((await system.repository.snapshots()).manifests).toEqual([]);
    expect(await readdir(system.dataDir)).not.toContain('backups-work');
  });

  test('of a database in memory is refused', async () => {
    await using system = await openSystem();
    const images = databaseImages([{ kind: 'memory', name: 'main' }]);
    expect(await codeOf(system.create({}, { images }))).toBe('backups/in-memory');
  });

  test('does not become complete when the lease on the objects was lost', async () => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, 'content');
    expect(await codeOf(system.create({}, { guard: { isHeld: async () => false } }))).toBe('backups/lease-lost');
    expect((await system.repository.snapshots()).manifests).toEqual([]);
  });

  test('that is aborted ends soon and leaves no manifest, no lease and no scratch', async () => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, randomBytes(8 * 2 ** 20));
    const controller = new AbortController();
    const reason = new Error('not wanted any more');
    const onProgress = ({ phase }: JobProgress) => phase === 'files' && controller.abort(reason);
    const running = system.create({}, { maxRate: 2 ** 20 }, { onProgress, signal: controller.signal });
    expect(await running.catch((error: unknown) => error)).toBe(reason);
    expect((await system.repository.snapshots()).manifests).toEqual([]);
    expect(await filesBelow(join(system.root, 'repository/leases'))).toEqual([]);
    expect(await readdir(system.dataDir)).not.toContain('backups-work');
  });

  test('tells how far it is, never backwards, and waits where its rate is bounded', async () => {
    await using system = await openSystem();
    for (let n = 0; n < 8; n++) await system.addFile(system.people.alice, randomBytes(2 ** 17));
    const told: JobProgress[] = [];
    const startedAt = performance.now();
    await system.create({}, { maxRate: 2 ** 20 }, { onProgress: (progress) => told.push(progress) });
    expect(performance.now() - startedAt).toBeGreaterThan(900);
    expect([...new Set(told.map(({ phase }) => phase))]).toEqual(['images', 'files', 'databases', 'finishing']);
    const fractions = told.map(({ fraction }) => fraction);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(told.some(({ phase, done, total }) => phase === 'files' && done > 0 && total === 2 ** 20)).toBe(true);
  });
});

describe('a backup of a user', () => {
  test('holds their files and an index, and nothing of others', async () => {
    await using system = await openSystem();
    const { alice, bob } = system.people;
    const [first, second] = [await system.addFile(alice, 'first'), await system.addFile(alice, 'second')];
    const foreign = await system.addFile(bob, 'of somebody else');
    const result = await system.create({ scope: 'user', userId: alice });
    const manifest = await system.manifest(result.id);
    expect(manifest).toMatchObject({ scope: 'user', userId: alice, databases: [], secret: 'none' });
    expect(result.files.map(({ fileId }) => fileId).sort()).toEqual([first.id, second.id].sort());
    const contents = await contentsOf(system.repository, manifest);
    expect([...contents.keys()].sort()).toEqual([first.sha256, second.sha256].sort());
    expect(contents.has(foreign.sha256)).toBe(false);
    const [sealed] = manifest.sealed;
    const text = Buffer.concat(await Array.fromAsync(system.repository.openObject(sealed as never))).toString();
    const index = JSON.parse(text) as UserIndex;
    expect(index.account).toEqual({
      id: alice,
      email: 'alice@example.org',
      name: 'alice',
      createdAt: new Date(1).toISOString(),
    });
    expect(index.files.find(({ id }) => id === first.id)).toMatchObject({
      name: first.name,
      sha256: first.sha256,
      size: 5,
    });
    expect(text).not.toContain(bob);
  });

  test('uses what backups of the system have, and their own earlier ones', async () => {
    await using system = await openSystem();
    const { alice } = system.people;
    await system.addFile(alice, 'in the backup of the system');
    await system.create();
    const { store, read } = countingReads(system.objects);
    const added = await system.addFile(alice, 'since then');
    const own = await system.create({ scope: 'user', userId: alice }, { objects: store });
    expect([read, own.storedBlobs]).toEqual([[added.objectKey], 1]);
    const again = await system.create({ scope: 'user', userId: alice }, { objects: store });
    expect([read.length, again.storedBlobs, again.fileCount]).toEqual([1, 0, 2]);
  });

  test('of an account that is gone is refused', async () => {
    await using system = await openSystem();
    expect(await codeOf(system.create({ scope: 'user', userId: 'nobody' }))).toBe('backups/not-found');
  });
});
