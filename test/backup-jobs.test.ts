import { describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runBackupJob } from '../src/backup-jobs.ts';
import { loadConfig } from '../src/config/load.ts';
import { doomedObjects } from '../src/db/schema/uploads.ts';
import { uuidv7 } from '../src/kernel/ids.ts';
import { isBackupUnderWay } from '../src/modules/backups/creation-lease.ts';
import type { JobProgress } from '../src/modules/backups/jobs.ts';
import { createReaper } from '../src/modules/uploads/reaper.ts';
import { systemClock } from '../src/ports/clock.ts';
import type { Queries } from '../src/ports/database.ts';
import { leasesOf, openSystem, openTestRepository, provenFiles, type TestSystem } from './modules/backups/system.ts';
import { eventually } from './support/eventually.ts';
import { recordingLog } from './support/fakes.ts';

const settingsOf = (system: TestSystem, more: Record<string, string> = {}) => ({
  config: loadConfig({ DATA_DIR: system.dataDir, BACKUP_URL: `file:${join(system.root, 'repository')}`, ...more }),
  secret: { value: 'a secret of thirty-two characters', isGenerated: true },
  leases: leasesOf(system.database),
});
const order = (more = {}) => ({
  kind: 'create' as const,
  id: uuidv7(),
  scope: 'system' as const,
  userId: null,
  note: '',
  ...more,
});

describe('a job on backups in a process of its own', () => {
  test('takes a backup, tells how far it is, and gives the result', async () => {
    await using system = await openSystem();
    for (let n = 0; n < 20; n++) await system.addFile(system.people.alice, `content ${n}`);
    const told: JobProgress[] = [];
    const job = order();
    const result = await runBackupJob(job, { ...settingsOf(system), onProgress: (progress) => told.push(progress) });
    expect(result).toMatchObject({ id: job.id, fileCount: 20, storedBlobs: 20, damaged: [] });
    expect(told.at(-1)).toMatchObject({ phase: 'finishing' });
    const manifest = await system.manifest(job.id);
    expect(manifest.installation).toMatch(/^[0-9a-f]{32}$/);
    // Others may take one now.
    expect(await leasesOf(system.database).acquire('backups/create', 1_000)).not.toBeNull();
  });

  test('passes on what went wrong as the problem it is', async () => {
    await using system = await openSystem();
    const running = runBackupJob(order({ scope: 'user', userId: uuidv7() }), settingsOf(system));
    expect(await running.catch((error: unknown) => error)).toMatchObject({ code: 'backups/not-found' });
  });

  test('is killed by the signal, and another one can begin at once', async () => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, new Uint8Array(4 * 2 ** 20));
    const controller = new AbortController();
    const reason = new Error('not wanted any more');
    const settings = settingsOf(system);
    const slow = settingsOf(system, { BACKUP_MAX_RATE: '64KiB' });
    const onProgress = ({ phase }: JobProgress) => phase === 'files' && controller.abort(reason);
    const running = runBackupJob(order(), { ...slow, onProgress, signal: controller.signal });
    expect(await running.catch((error: unknown) => error)).toBe(reason);
    const result = await runBackupJob(order(), settings);
    expect(result).toMatchObject({ fileCount: 1, storedBlobs: 1 });
    expect(await readdir(system.dataDir)).not.toContain('backups-work');
  });

  test('two that are to begin at once run one after the other', async () => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, 'content');
    const leaseTimes = { lookMs: 10 };
    const results = await Promise.all([
      runBackupJob(order(), { ...settingsOf(system), leaseTimes }),
      runBackupJob(order(), { ...settingsOf(system), leaseTimes }),
    ]);
    expect(results.map(({ storedBlobs }) => storedBlobs).sort()).toEqual([0, 1]);
    expect((await system.repository.snapshots()).manifests).toHaveLength(2);
  });

  test('waits only so long for another one', async () => {
    await using system = await openSystem();
    await leasesOf(system.database).acquire('backups/create', 60_000);
    const running = runBackupJob(order(), { ...settingsOf(system), leaseTimes: { waitMs: 30, lookMs: 10 } });
    expect(await running.catch((error: unknown) => error)).toMatchObject({ code: 'backups/busy' });
  });

  test('whose lease is lost in the middle leaves no backup', async () => {
    await using system = await openSystem();
    await system.addFile(system.people.alice, new Uint8Array(2 ** 20));
    const leases = leasesOf(system.database);
    let isLost = false;
    const losing: typeof leases = {
      async acquire(job, ttlMs) {
        const lease = await leases.acquire(job, ttlMs);
        return lease && { ...lease, renew: async () => !isLost && lease.renew() };
      },
    };
    const onProgress = ({ phase }: JobProgress) => {
      if (phase === 'databases') isLost = true;
    };
    const running = runBackupJob(order(), { ...settingsOf(system), leases: losing, onProgress });
    expect(await running.catch((error: unknown) => error)).toMatchObject({ code: 'backups/lease-lost' });
    expect((await (await openTestRepository(system.store)).snapshots()).manifests).toEqual([]);
  });
});

test('files that come and go while a backup is taken: every file that the image names has its content', async () => {
  await using system = await openSystem();
  const { alice, bob } = system.people;
  const kept = [];
  for (let n = 0; n < 40; n++) kept.push(await system.addFile(alice, randomBytes(20_000)));
  const { database, objects } = system;
  const isHeldBack = (tx: Queries) => isBackupUnderWay(tx, systemClock);
  const sweep = async () => undefined;
  const reaper = createReaper({ database, store: objects, log: recordingLog(), sweep, isHeldBack });
  let isOver = false;
  const changing = (async () => {
    const mine = [...kept];
    while (!isOver) {
      const old = mine.shift();
      if (old) await system.removeFile(old.id);
      mine.push(await system.addFile(bob, randomBytes(20_000)));
      reaper.wake();
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const settings = settingsOf(system, { BACKUP_MAX_RATE: '1MiB' });
  const results = [await runBackupJob(order(), settings), await runBackupJob(order(), settings)];
  isOver = true;
  await changing;
  for (const { id, damaged } of results) {
    expect(damaged).toEqual([]);
    // One at most had gone, and its successor not come yet.
    expect((await provenFiles(system, id)).length).toBeGreaterThanOrEqual(39);
  }
  // Afterwards what was deleted goes.
  reaper.wake();
  await eventually(async () => (await database.read.select().from(doomedObjects)).length === 0);
  await reaper.stop();
  expect(await Array.fromAsync(objects.list('files/'))).toHaveLength(40);
}, 60_000);
