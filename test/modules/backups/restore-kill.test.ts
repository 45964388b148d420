import { Database as Sqlite } from 'bun:sqlite';
import { expect, setDefaultTimeout, test } from 'bun:test';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskObjectStore } from '../../../src/drivers/disk-object-store.ts';
import { isRestorePending } from '../../../src/modules/backups/pending-restore.ts';
import type { FileRow } from '../../../src/ports/database-images.ts';
import { putInPlace } from './restoring.ts';
import { openSystem } from './system.ts';

setDefaultTimeout(240_000);

const RESTORE = join(import.meta.dirname, '../../support/restore-process.ts');

async function run(dataDir: string, repository: string, deathAt?: number): Promise<string[]> {
  const args = [dataDir, repository, ...(deathAt === undefined ? [] : [String(deathAt)])];
  const child = Bun.spawn([process.execPath, RESTORE, ...args], { stderr: 'pipe' });
  const [text, fault] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  if (deathAt === undefined) expect([child.exitCode, fault]).toEqual([0, '']);
  else expect([child.signalCode, fault]).toEqual(['SIGKILL', '']);
  return text.split('\n').filter(Boolean);
}

/** Names of the files that the database has, every one of which has its bytes. */
async function filesOf(dataDir: string): Promise<string[]> {
  const objects = diskObjectStore({ root: join(dataDir, 'objects') });
  const database = new Sqlite(join(dataDir, 'main.db'), { readwrite: true });
  const rows = database.query('SELECT id, size, object_key AS objectKey FROM files ORDER BY id').all() as FileRow[];
  database.close();
  for (const { objectKey, size } of rows) expect((await objects.get(objectKey))?.size).toBe(size);
  return rows.map(({ id }) => id);
}

/** What the uploads of a server do at its start. */
async function recover(dataDir: string): Promise<void> {
  const objects = diskObjectStore({ root: join(dataDir, 'objects') });
  const database = new Sqlite(join(dataDir, 'main.db'), { readwrite: true });
  for await (const key of objects.unsettled()) {
    const isNamed = database.query('SELECT 1 FROM files WHERE object_key = ?').all(key).length > 0;
    await (isNamed ? objects.settle(key) : objects.delete(key));
  }
  database.close();
}

test('killed at any step, the restore leaves the old state or the new one, and can be done again', async () => {
  await using system = await openSystem();
  const { alice } = system.people;
  const then = [await system.addFile(alice, 'kept'), await system.addFile(alice, 'a'.repeat(100_000))];
  const deleted = await system.addFile(alice, 'deleted later');
  await system.create();
  await system.removeFile(deleted.id);
  await system.objects.delete(deleted.objectKey);
  const now = [...then, await system.addFile(alice, 'came later')].map(({ id }) => id).sort();
  const before = [...then, deleted].map(({ id }) => id).sort();
  await system.database.close();
  const repository = join(system.root, 'repository');

  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-kill-'));
  try {
    const trial = join(folder, 'trial');
    await cp(system.dataDir, trial, { recursive: true });
    const steps = await run(trial, repository);
    expect(steps).toContain('prepare');
    expect(steps).toContain('settle');
    for (let death = 0; death < 2 * steps.length; death++) {
      const dataDir = join(folder, String(death));
      await cp(system.dataDir, dataDir, { recursive: true });
      await run(dataDir, repository, death);
      const isPending = isRestorePending(dataDir);
      const outcome = await putInPlace(dataDir);
      expect([death, outcome.status]).toEqual([death, isPending ? 'swapped' : 'none']);
      await recover(dataDir);
      expect([death, ...(await filesOf(dataDir))]).toEqual([death, ...(isPending ? before : now)]);
      if (isPending) continue;
      await run(dataDir, repository);
      expect((await putInPlace(dataDir)).status).toBe('swapped');
      await recover(dataDir);
      expect(await filesOf(dataDir)).toEqual(before);
      expect((await readdir(dataDir)).filter((name) => /^restore[.-]/.test(name))).toEqual([]);
      await rm(dataDir, { recursive: true });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
