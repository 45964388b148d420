import { afterAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { link, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { objectPaths, toName } from '../../src/drivers/disk-object-paths.ts';
import { diskObjectStore } from '../../src/drivers/disk-object-store.ts';
import { isIdentityAlive, ownIdentity } from '../../src/drivers/process-identity.ts';
import { storageProblems } from '../../src/kernel/problems.ts';
import { bytes, collect, failureOf, from, objectStoreContract } from '../contracts/object-store.ts';
import { filesBelow } from '../support/files-below.ts';

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

async function makeRoot(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-store-'));
  folders.push(folder);
  return join(folder, 'objects');
}

objectStoreContract('the disk store', async () => {
  const root = await makeRoot();
  return { store: diskObjectStore({ root }), leftovers: () => filesBelow(root), close: async () => undefined };
});

/** Names of runs that are over: an earlier run of this very pid, a pid that cannot be, and no name at all. */
const DEAD = [`${process.pid}-1-00000000`, '99999999-5-00000000', 'nonsense'];

describe('large bodies', () => {
  const sha256 = (parts: readonly Uint8Array[]) =>
    parts.reduce((hash, part) => hash.update(part), new Bun.CryptoHasher('sha256')).digest('hex');

  test('many at once arrive byte for byte, whatever the sizes of their chunks', async () => {
    const store = diskObjectStore({ root: await makeRoot() });
    const bodies = [
      [100_000, 1, 524_288, 524_287, 0, 3_000_000],
      [65_537],
      [524_288, 524_288],
      Array.from({ length: 300 }, (_, index) => index * 13),
    ].map((sizes) => sizes.map((size) => randomBytes(size)));
    const stored = await Promise.all(bodies.map((parts, index) => store.put(`files/${index}`, from(parts))));
    expect(stored.map((object) => object.sha256)).toEqual(bodies.map(sha256));
    for (const [index, parts] of bodies.entries()) {
      const found = await store.get(`files/${index}`);
      expect(Buffer.from(await new Response(found?.body).arrayBuffer()).equals(Buffer.concat(parts))).toBe(true);
    }
  });

  test('chunks that are disposable are freed, unless they share their memory', async () => {
    const store = diskObjectStore({ root: await makeRoot() });
    const shared = bytes(200_000).buffer as ArrayBuffer;
    const parts = () => [bytes(100_000), bytes(70_000), new Uint8Array(shared, 0, 100_000), bytes(500_000)];
    const [owned, kept] = [parts(), parts()];
    const digest = sha256(owned);
    const disposed = await store.put('files/owned', from(owned), { isDisposable: true });
    expect((await store.put('files/kept', from(kept))).sha256).toBe(digest);
    expect(disposed.sha256).toBe(digest);
    expect(owned.map(({ length }) => length)).toEqual([0, 0, 100_000, 0]);
    expect(kept.map(({ length }) => length)).toEqual([100_000, 70_000, 100_000, 500_000]);
  });

  test('one that fails halfway leaves the others alone', async () => {
    const root = await makeRoot();
    const store = diskObjectStore({ root });
    async function* failing() {
      yield bytes(3_000_000);
      throw new Error('the source is gone');
    }
    const good = bytes(4_000_000);
    const [failed, stored] = await Promise.allSettled([
      store.put('files/bad', failing()),
      store.put('files/good', from([good])),
    ]);
    expect(failed).toMatchObject({ status: 'rejected', reason: { message: 'the source is gone' } });
    expect(stored).toMatchObject({ status: 'fulfilled', value: { sha256: sha256([good]) } });
    expect((await filesBelow(root)).toSorted()).toEqual([expect.stringMatching(/~files~good$/), 'files~good']);
  });
});

describe('what a crash left on disk', () => {
  /** Puts an object as a run of that name would have, up to where it stopped. */
  async function leave(root: string, owner: string, key: string, isPublished: boolean): Promise<void> {
    const { stagingDirectory, shardDirectory, finalPath } = objectPaths(root);
    await mkdir(stagingDirectory, { recursive: true });
    const staged = join(stagingDirectory, `${owner}~${toName(key)}`);
    await writeFile(staged, 'content');
    if (!isPublished) return;
    await mkdir(shardDirectory(key), { recursive: true });
    await link(staged, finalPath(key));
  }

  test.each(DEAD)('a half-written object of %s is removed along the way', async (owner) => {
    const root = await makeRoot();
    await leave(root, owner, 'files/half', false);
    expect(await collect(diskObjectStore({ root }).unsettled())).toEqual([]);
    expect(await filesBelow(root)).toEqual([]);
  });

  test.each(DEAD)('an object of %s that was never settled is found, and can be settled', async (owner) => {
    const root = await makeRoot();
    const store = diskObjectStore({ root });
    await leave(root, owner, 'files/kept', true);
    for await (const key of store.unsettled()) await store.settle(key);
    expect(await filesBelow(root)).toEqual(['files~kept']);
    expect(await collect(store.unsettled())).toEqual([]);
  });

  test.each(DEAD)('an object of %s that was never settled is found, and can be deleted', async (owner) => {
    const root = await makeRoot();
    const store = diskObjectStore({ root });
    await leave(root, owner, 'files/unwanted', true);
    for await (const key of store.unsettled()) await store.delete(key);
    expect(await filesBelow(root)).toEqual([]);
  });

  test('unsettled objects come oldest first', async () => {
    const root = await makeRoot();
    const keys = ['files/c', 'files/a', 'files/b'];
    for (const key of keys) await leave(root, '99999999-5-00000000', key, true);
    expect(await collect(diskObjectStore({ root }).unsettled())).toEqual(keys);
  });

  test('what a living process is writing is left alone', async () => {
    const root = await makeRoot();
    const child = Bun.spawn(
      [
        process.execPath,
        '-e',
        `import { ownIdentity } from ${JSON.stringify(import.meta.resolve('../../src/drivers/process-identity.ts'))};
        console.log(ownIdentity); await new Promise((resolve) => process.stdin.once('data', resolve)); process.exit();`,
      ],
      { stdin: 'pipe', stdout: 'pipe' },
    );
    const { value } = await child.stdout.getReader().read();
    const owner = new TextDecoder().decode(value).trim();
    expect([isIdentityAlive(owner), owner === ownIdentity]).toEqual([true, false]);
    await leave(root, owner, 'files/theirs', false);
    await collect(diskObjectStore({ root }).unsettled());
    expect(await filesBelow(root)).toEqual([`${owner}~files~theirs`]);

    child.kill('SIGKILL');
    await child.exited;
    expect(isIdentityAlive(owner)).toBe(false);
    await collect(diskObjectStore({ root }).unsettled());
    expect(await filesBelow(root)).toEqual([]);
  });
});

describe('the disk store', () => {
  test('refuses a key that exists and leaves the object as it was', async () => {
    const root = await makeRoot();
    const store = diskObjectStore({ root });
    await store.put('files/once', from([bytes(10, 1)]));
    await store.settle('files/once');
    await expect(store.put('files/once', from([bytes(20, 2)]))).rejects.toThrow('exists already');
    expect((await store.get('files/once'))?.size).toBe(10);
    expect(await filesBelow(root)).toEqual(['files~once']);
  });

  test('a second put of a key that is being written does not disturb the first', async () => {
    const root = await makeRoot();
    const store = diskObjectStore({ root });
    const gate = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    async function* slow() {
      yield bytes(100_000);
      started.resolve();
      await gate.promise;
    }
    const first = store.put('files/twice', slow());
    await started.promise;
    await failureOf(store.put('files/twice', from([bytes(20)])));
    await failureOf(store.put('files/twice', from([bytes(200_000)])));
    gate.resolve();
    expect((await first).size).toBe(100_000);
  });

  test('a body that was handed out can still be read when a delete comes right after', async () => {
    const root = await makeRoot();
    const store = diskObjectStore({ root });
    await store.put('files/read', from([bytes(100_000)]));
    const found = await store.get('files/read');
    const deleted = store.delete('files/read');
    expect((await new Response(found?.body as Blob).arrayBuffer()).byteLength).toBe(100_000);
    await deleted;
    expect(await filesBelow(root)).toEqual([]);
  });

  test('cannot be checked when its root is a file', async () => {
    const root = await makeRoot();
    await writeFile(root, '');
    const fault = await failureOf(diskObjectStore({ root }).check());
    expect(storageProblems.is(fault, 'unavailable')).toBe(true);
  });
});

/** A full disk needs a file system of its own, which only root can mount. */
const canMount = process.platform === 'linux' && process.getuid?.() === 0;

describe.skipIf(!canMount)('on a file system that is full', () => {
  async function onTinyDisk(work: (root: string) => Promise<void>): Promise<void> {
    const mountPoint = await mkdtemp(join(tmpdir(), 'bunkhouse-tiny-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mountPoint]);
    // Containers may forbid it even to root.
    if (mounted.status !== 0) return;
    try {
      await work(join(mountPoint, 'objects'));
    } finally {
      spawnSync('umount', [mountPoint]);
      await rm(mountPoint, { recursive: true, force: true });
    }
  }

  test('a put fails with storage/full, keeps nothing, and a smaller one works after it', async () => {
    await onTinyDisk(async (root) => {
      const store = diskObjectStore({ root });
      const fault = await failureOf(store.put('files/big', from([bytes(600_000), bytes(600_000), bytes(600_000)])));
      expect(storageProblems.is(fault, 'full')).toBe(true);
      expect(await filesBelow(root)).toEqual([]);
      expect((await store.put('files/small', from([bytes(500_000)]))).size).toBe(500_000);
    });
  });
});
