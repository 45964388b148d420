import { afterAll, expect, test } from 'bun:test';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskRepositoryStore } from '../../src/drivers/disk-repository-store.ts';
import { bytes, from } from '../contracts/object-store.ts';
import { repositoryStoreContract } from '../contracts/repository-store.ts';
import { filesBelow } from '../support/files-below.ts';

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

async function makeRoot(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-repository-'));
  folders.push(folder);
  return join(folder, 'deep/backups');
}

repositoryStoreContract('a directory', async () => {
  const root = await makeRoot();
  return { store: diskRepositoryStore({ root }), leftovers: () => filesBelow(root), close: async () => undefined };
});

test('an object is the file of its key, readable by its owner only', async () => {
  const root = await makeRoot();
  await diskRepositoryStore({ root }).put('blobs/ab/one.zst', from([bytes(100)]));
  expect((await readFile(join(root, 'blobs/ab/one.zst'))).equals(bytes(100))).toBe(true);
  const { stdout } = Bun.spawnSync(['stat', '-c', '%a', root, join(root, 'blobs/ab'), join(root, 'blobs/ab/one.zst')]);
  expect(stdout.toString().trim().split('\n')).toEqual(['700', '700', '600']);
});

test('what a crash left half-written is removed when it is old, and never listed', async () => {
  const root = await makeRoot();
  const store = diskRepositoryStore({ root });
  await store.check();
  const partial = join(root, '.partial');
  for (const name of ['old', 'young']) await writeFile(join(partial, name), 'half');
  const twoDaysAgo = new Date(Date.now() - 48 * 3_600_000);
  await utimes(join(partial, 'old'), twoDaysAgo, twoDaysAgo);
  await store.check();
  expect(await readdir(partial)).toEqual(['young']);
  expect(await Array.fromAsync(store.list(''))).toEqual([]);
});

test('a directory that somebody removed is made again', async () => {
  const root = await makeRoot();
  const store = diskRepositoryStore({ root });
  await store.put('blobs/ab/one', from([bytes(1)]));
  await rm(root, { recursive: true });
  await store.put('blobs/ab/two', from([bytes(2)]));
  expect((await store.stat('blobs/ab/two'))?.bytes).toBe(2);
});
