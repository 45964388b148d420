import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readBackupKeep } from '../../../src/config/backup-keep.ts';
import type { Manifest } from '../../../src/modules/backups/manifest.ts';
import { prune } from '../../../src/modules/backups/sweep.ts';
import { makeRepository, sha256Of, type TestRepository, textOf, writeSnapshot } from './support.ts';

const DAY = 24 * 3_600_000;
let subject: TestRepository;
beforeEach(async () => {
  subject = await makeRepository({ leaseTimes: { renewMs: 20, deadMs: 1_000, backOffMs: 20 } });
});
afterEach(() => subject.remove());

const run = (options: { isDryRun?: boolean; keep?: string } = {}) =>
  prune({ ...subject, keep: readBackupKeep(options.keep ?? 'last=1'), isDryRun: options.isDryRun ?? false });

const files = async (directory: string) =>
  (await readdir(join(subject.root, directory), { recursive: true, withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);

/** Everything that is there was stored so much earlier. */
const age = async (ms: number) => {
  for (const entry of await readdir(subject.root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mtimeMs } = await Bun.file(path).stat();
    await utimes(path, new Date(mtimeMs - ms), new Date(mtimeMs - ms));
  }
  subject.clock.turn(ms);
};

const isWhole = async (manifest: Manifest) => {
  for await (const line of subject.repository.list(manifest)) await textOf(subject.repository.openObject(line));
  for (const { image } of manifest.databases) await textOf(subject.repository.openObject(image));
  return true;
};

/** Two snapshots, of which the second needs half of the first. */
const take = async () => {
  const first = await writeSnapshot(subject, { blobs: ['common', 'only in the first'], databases: { main: 'old' } });
  subject.clock.turn(60_000);
  const second = await writeSnapshot(subject, { blobs: ['common', 'only in the second'], databases: { main: 'new' } });
  return { first, second };
};

describe('what nothing refers to', () => {
  test('waits for a day and another snapshot, then goes', async () => {
    const { first, second } = await take();
    const found = await run();
    expect(found.forget.map(({ id }) => id)).toEqual([first.id]);
    expect([found.swept.objects, found.waiting.objects]).toEqual([0, 3]);
    expect((await run()).swept.objects).toBe(0);

    await age(2 * DAY);
    // Nothing was backed up since, so nobody knows that backups still work.
    expect((await run()).swept.objects).toBe(0);
    subject.clock.turn(60_000);
    const third = await writeSnapshot(subject, { blobs: ['common', 'only in the second'], databases: { main: 'new' } });
    const swept = await run();
    expect([swept.swept.objects, swept.waiting.objects]).toEqual([3, 0]);
    expect(await files('trash')).toEqual([]);
    expect(await isWhole(third)).toBe(true);
    expect((await files('blobs')).sort()).toEqual(
      ['common', 'only in the second'].map((text) => `${sha256Of(text)}.zst`).sort(),
    );
    expect(second.id).not.toBe(third.id);
  });

  test('stays when a snapshot refers to it again meanwhile', async () => {
    await take();
    await run();
    await age(2 * DAY);
    const third = await writeSnapshot(subject, { blobs: ['only in the first'], databases: { main: 'old' } });
    const { swept } = await run();
    expect(swept.objects).toBe(1);
    expect(await isWhole(third)).toBe(true);
  });

  test('waits again when it was stored again meanwhile', async () => {
    await take();
    await run();
    await age(2 * DAY);
    await writeSnapshot(subject, { blobs: ['x'], databases: { main: 'new' } });
    const again = join(
      subject.root,
      `blobs/${sha256Of('only in the first').slice(0, 2)}/${sha256Of('only in the first')}.zst`,
    );
    await utimes(again, new Date(), new Date());
    await run();
    expect(await Bun.file(again).exists()).toBe(true);
  });

  test('is what interrupted runs left, too', async () => {
    await take();
    await subject.repository.writeObject(
      { kind: 'blob', sha256: sha256Of('left') },
      (async function* () {
        yield Buffer.from('left');
      })(),
    );
    expect((await run({ keep: 'last=9' })).waiting.objects).toBe(1);
  });

  test('is only counted in a dry run', async () => {
    await take();
    const before = (await files('.')).sort();
    const { forget, waiting } = await run({ isDryRun: true });
    expect([forget.length, waiting.objects]).toEqual([1, 3]);
    expect((await files('.')).sort()).toEqual(before);
  });

  test('is not looked for while a manifest cannot be read, since nobody knows what it needs', async () => {
    const { second } = await take();
    const name = (await files('snapshots')).find((each) => each.includes(second.id)) as string;
    const path = join(subject.root, 'snapshots', name);
    await writeFile(path, (await readFile(path, 'utf8')).replace('here', 'hera'));
    const { heldBack, swept, waiting } = await run();
    expect(heldBack).toContain(name);
    expect([swept.objects, waiting.objects]).toEqual([0, 0]);
  });

  test('is not removed when a list cannot be read', async () => {
    const { second } = await take();
    await run();
    await age(2 * DAY);
    await writeSnapshot(subject, { blobs: ['x'] });
    await writeFile(join(subject.root, second.blobs.list.key), 'nonsense');
    const before = (await files('blobs')).length;
    const failure = await run({ keep: 'last=9' }).then(
      () => 'done',
      (error: { code: string }) => error.code,
    );
    expect([failure, (await files('blobs')).length]).toEqual(['backups/damaged', before]);
  });
});

describe('while others work on the repository', () => {
  test('nothing is removed, and the message says who they are', async () => {
    const lease = await subject.repository.lease('shared', 'restoring');
    const other = await subject.reopen({ holder: { host: 'web2', pid: 7 } });
    const failure = await prune({ ...subject, repository: other, keep: readBackupKeep('last=1') }).then(
      () => 'done',
      (error: Error) => error.message,
    );
    expect(failure).toMatch(/^backups\/busy: test \(process 1\) .*restoring/);
    await lease.release();
    expect((await run()).heldBack).toBeNull();
  });

  test('any number may read and write', async () => {
    const other = await subject.reopen({ holder: { host: 'web2', pid: 7 } });
    const leases = await Promise.all([
      subject.repository.lease('shared', 'a'),
      other.lease('shared', 'b'),
      other.lease('shared', 'c'),
    ]);
    for (const lease of leases) await lease.assertHeld();
    for (const lease of leases) await lease.release();
    expect(await files('leases')).toEqual([]);
  });

  test('of two who would be alone one is, however they meet', async () => {
    const other = await subject.reopen({ holder: { host: 'web2', pid: 7 } });
    let inside = 0;
    let most = 0;
    const work = async (repository: typeof other) => {
      const lease = await repository.lease('exclusive', 'x').catch(() => null);
      if (!lease) return false;
      most = Math.max(most, ++inside);
      await Bun.sleep(5);
      inside--;
      await lease.release();
      return true;
    };
    const rounds = await Promise.all([work(other), work(subject.repository), work(other), work(subject.repository)]);
    expect(most).toBe(1);
    expect(rounds).toContain(true);
  });

  test('the lease of a machine that died is taken over; one that lives is not, whatever the clocks say', async () => {
    const dead = 'leases/0193a1f0-0000-7000-8000-000000000001.json';
    await writeFile(join(subject.root, '../spool'), '');
    await subject.store.put(
      dead,
      (async function* () {
        yield Buffer.from(JSON.stringify({ kind: 'shared', purpose: 'x', host: 'gone', pid: 1, since: '' }));
      })(),
    );
    const path = join(subject.root, dead);
    const old = new Date(Date.now() - 3_600_000);
    await utimes(path, old, old);
    await (await subject.repository.lease('exclusive', 'y')).release();
    expect(await files('leases')).toEqual([]);

    const alive = await subject.repository.lease('shared', 'slow');
    const [name] = await files('leases');
    // As if the clock had jumped: the lease looks an hour old, and is renewed all the same.
    const jump = setInterval(
      () =>
        void utimes(
          join(subject.root, 'leases', name as string),
          old,
          new Date(old.getTime() + Math.random() * 9_000),
        ).catch(() => undefined),
      5,
    );
    const other = await subject.reopen({ holder: { host: 'web2', pid: 7 } });
    const failure = await other.lease('exclusive', 'z').then(
      () => 'taken',
      (error: { code: string }) => error.code,
    );
    clearInterval(jump);
    expect(failure).toBe('backups/busy');
    await alive.assertHeld();
    await alive.release();
  });

  test('a holder that was taken for dead does not complete its snapshot', async () => {
    const manifest = await writeSnapshot(subject);
    const lease = await subject.repository.lease('shared', 'paused');
    const [name] = await files('leases');
    await subject.store.delete(`leases/${name}`);
    subject.clock.turn(1_000);
    const late = { ...manifest, createdAt: new Date(subject.clock.now()).toISOString() };
    const failure = await subject.repository.writeManifest(late, lease).then(
      () => 'written',
      (error: { code: string }) => error.code,
    );
    expect(failure).toBe('backups/lease-lost');
    expect([lease.signal.aborted, (await files('snapshots')).length]).toEqual([true, 1]);
  });
});
