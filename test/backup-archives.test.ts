import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runBackupJob, streamBackupJob } from '../src/backup-jobs.ts';
import { loadConfig } from '../src/config/load.ts';
import { diskRepositoryStore } from '../src/drivers/disk-repository-store.ts';
import { uuidv7 } from '../src/kernel/ids.ts';
import { archivePath, readArchive, writeArchive } from '../src/modules/backups/archive.ts';
import { from } from './contracts/object-store.ts';
import { leasesOf, openSystem, openTestRepository, type TestSystem } from './modules/backups/system.ts';
import { eventually } from './support/eventually.ts';

const settingsOf = (system: TestSystem) => ({
  config: loadConfig({ DATA_DIR: system.dataDir, BACKUP_URL: `file:${join(system.root, 'repository')}` }),
  secret: { value: 'a secret of thirty-two characters', isGenerated: true },
  leases: leasesOf(system.database),
});
const take = async (system: TestSystem, scope: 'system' | 'user', userId: string | null) => {
  const id = uuidv7();
  await runBackupJob({ kind: 'create', id, scope, userId, note: '' }, settingsOf(system));
  return id;
};
const contentsOf = async (tar: ReadableStream<Uint8Array>) => {
  const contents = new Map<string, string>();
  await readArchive(
    tar,
    () => undefined,
    async ({ name }, body) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      contents.set(name, Buffer.concat(chunks).toString());
    },
  );
  return contents;
};
const fault = (running: Promise<unknown>) =>
  running.then(
    () => null,
    (error: unknown) => error,
  );

describe('the archive of a user', () => {
  test('has their files and nobody else’s, or those that are asked for', async () => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, 'x'.repeat(3 * 2 ** 20));
    const small = await system.addFile(system.people.alice, 'small');
    await system.addFile(system.people.bob, 'bob’s');
    const id = await take(system, 'user', system.people.alice);
    const all = await contentsOf(streamBackupJob({ kind: 'archive', id }, settingsOf(system)));
    expect([...all.values()].sort()).toEqual(['small', 'x'.repeat(3 * 2 ** 20)]);
    const one = await contentsOf(streamBackupJob({ kind: 'archive', id, files: [small.id] }, settingsOf(system)));
    expect([...one]).toEqual([[small.name, 'small']]);
  });

  test('becomes a backup on another system, whose files are the same', async () => {
    await using here = await openSystem();
    await using there = await openSystem();
    const file = await here.addFile(here.people.alice, 'taken along');
    await here.addFile(here.people.alice, 'taken along');
    const id = await take(here, 'user', here.people.alice);
    const archive = await new Response(streamBackupJob({ kind: 'archive', id }, settingsOf(here))).bytes();
    await there.objects.put('files/archive', from([archive]));
    const order = { id: uuidv7(), userId: there.people.bob, note: 'from there', objectKey: 'files/archive' };
    const taken = await runBackupJob({ kind: 'import', ...order }, settingsOf(there));
    expect(taken).toMatchObject({ fileCount: 2, storedBlobs: 1, damaged: [] });
    expect(taken.files.map(({ name, sha256 }) => ({ name, sha256 }))).toContainEqual({
      name: file.name,
      sha256: file.sha256,
    });
    expect(await there.manifest(order.id)).toMatchObject({
      scope: 'user',
      userId: there.people.bob,
      note: 'from there',
    });
    const again = await contentsOf(streamBackupJob({ kind: 'archive', id: order.id }, settingsOf(there)));
    expect([...again.values()]).toContain('taken along');
  });

  test('whose contents are not what its index says leaves no backup', async () => {
    await using here = await openSystem();
    await here.addFile(here.people.alice, 'taken along');
    const id = await take(here, 'user', here.people.alice);
    const archive = await new Response(streamBackupJob({ kind: 'archive', id }, settingsOf(here))).bytes();
    const at = Buffer.from(archive).lastIndexOf('taken along');
    archive[at] = (archive[at] as number) ^ 1;
    await using there = await openSystem();
    await there.objects.put('files/archive', from([archive]));
    const order = { id: uuidv7(), userId: there.people.bob, note: '', objectKey: 'files/archive' };
    expect(await fault(runBackupJob({ kind: 'import', ...order }, settingsOf(there)))).toMatchObject({
      code: 'backups/refused-archive',
    });
    await there.objects.put('files/noise', from([new Uint8Array(5000).fill(7)]));
    const noise = { ...order, objectKey: 'files/noise' };
    expect(await fault(runBackupJob({ kind: 'import', ...noise }, settingsOf(there)))).toMatchObject({
      code: 'backups/refused-archive',
    });
    expect((await there.repository.snapshots()).manifests).toEqual([]);
    expect(await readdir(there.dataDir)).not.toContain('backups-work');
  });
});

describe('an archive that names a content without having it', () => {
  const archiveOf = (contents: readonly { readonly claimed: string; readonly brought: string }[]) => {
    const at = '2026-01-23T03:00:00.000Z';
    const files = contents.map(({ claimed }) => {
      const id = uuidv7();
      const sha256 = createHash('sha256').update(claimed).digest('hex');
      const file = {
        path: archivePath(id, 'a'),
        id,
        name: 'a',
        size: Buffer.byteLength(claimed),
        type: 'text/plain',
        sha256,
      };
      return { ...file, visibility: 'private', createdAt: at, updatedAt: at } as const;
    });
    const account = { email: 'bob@example.org', name: 'Bob', createdAt: at };
    const index = { format: 1, kind: 'bunkhouse-user-backup', createdAt: at, account, files } as const;
    return new Response(
      writeArchive(index, async function* ({ id }) {
        yield Buffer.from(contents[files.findIndex((file) => file.id === id)]?.brought ?? '');
      }),
    ).bytes();
  };
  test.each([
    ['somebody else’s', [{ claimed: 'alice’s diary', brought: 'bob’s guesses' }]],
    [
      'one of its own other files',
      [
        { claimed: 'bob’s content', brought: 'bob’s content' },
        { claimed: 'bob’s content', brought: 'bob’s guesses' },
      ],
    ],
  ])('is refused: %s', async (_, contents) => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, 'alice’s diary');
    const id = await take(system, 'system', null);
    const bytes = await archiveOf(contents);
    await system.objects.put('files/archive', from([bytes]));
    const order = { id: uuidv7(), userId: system.people.bob, note: '', objectKey: 'files/archive' };
    expect(await fault(runBackupJob({ kind: 'import', ...order }, settingsOf(system)))).toMatchObject({
      code: 'backups/refused-archive',
    });
    expect((await system.repository.snapshots()).manifests.map((manifest) => manifest.id)).toEqual([id]);
  });
});

describe('the archive of a system', () => {
  test('unpacked is a repository with that backup alone', async () => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, 'first');
    await take(system, 'system', null);
    await system.addFile(system.people.alice, 'second');
    const id = await take(system, 'system', null);
    const root = join(system.root, 'unpacked');
    await mkdir(root);
    const tar = await new Response(streamBackupJob({ kind: 'archive', id }, settingsOf(system))).bytes();
    await Bun.write(join(system.root, 'backup.tar'), tar);
    expect(Bun.spawnSync(['tar', '-xf', '../backup.tar'], { cwd: root }).exitCode).toBe(0);
    const repository = await openTestRepository(diskRepositoryStore({ root }));
    const { manifests, broken } = await repository.snapshots();
    expect([manifests.map((manifest) => manifest.id), broken]).toEqual([[id], []]);
    const [manifest] = manifests;
    if (!manifest) throw new Error('there is no backup');
    for await (const line of repository.list(manifest)) await repository.verifyStored(line);
    for (const { image } of manifest.databases) await repository.verifyStored(image);
  });

  test('fails as a stream when there is no such backup, or an object is missing', async () => {
    await using system = await openSystem();
    const read = (id: string) =>
      fault(new Response(streamBackupJob({ kind: 'archive', id }, settingsOf(system))).bytes());
    expect(await read(uuidv7())).toMatchObject({ code: 'backups/not-found' });
    await system.addFile(system.people.alice, 'lost');
    const id = await take(system, 'system', null);
    for await (const { key } of system.store.list('blobs/')) await system.store.delete(key);
    expect(await read(id)).toMatchObject({ code: 'backups/damaged' });
  });
});

test('an archive that nobody reads any more ends its process', async () => {
  await using system = await openSystem();
  await system.addFile(system.people.alice, 'x'.repeat(2 ** 22));
  const id = await take(system, 'user', system.people.alice);
  const before = await children();
  const reader = streamBackupJob({ kind: 'archive', id }, settingsOf(system)).getReader();
  expect((await reader.read()).done).toBe(false);
  expect((await children()).length).toBe(before.length + 1);
  await reader.cancel();
  await eventually(async () => (await children()).length === before.length);
});

/** Ids of the processes that this one has started and that live. */
async function children(): Promise<string[]> {
  const lists = await Promise.all(
    (await readdir('/proc/self/task')).map((thread) => readFile(`/proc/self/task/${thread}/children`, 'utf8')),
  );
  return lists.join(' ').split(/\s+/).filter(Boolean);
}
