import { Database as Sqlite } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { diskRepositoryStore } from '../../../src/drivers/disk-repository-store.ts';
import { objectsOf } from '../../../src/modules/backups/manifest.ts';
import type { Repository } from '../../../src/modules/backups/repository.ts';
import { contentsOf, countingReads, openSystem, openTestRepository, type TestSystem } from './system.ts';

const RUN = join(import.meta.dirname, 'crashing-run.ts');
/** Walks that go on at the same time, each with a repository of its own. */
const WALKS = 3;
/** Far more steps than a run has. */
const MOST_STEPS = 500;

/** Takes a backup into the repository of a directory and kills it at a step. @returns whether it was done before that. */
async function runKilledAt(system: TestSystem, directory: string, step: number): Promise<boolean> {
  const child = Bun.spawn(
    [
      process.execPath,
      RUN,
      join(system.dataDir, 'main.db'),
      join(system.dataDir, 'objects'),
      join(directory, 'repository'),
      join(directory, 'work'),
      String(step),
    ],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' },
  );
  const [said] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (child.signalCode === null && child.exitCode !== 0) throw new Error(said);
  return child.exitCode === 0;
}

/** Every snapshot, all of it read and compared. @returns how many there are. */
async function proveSnapshots(repository: Repository): Promise<number> {
  const { manifests, broken } = await repository.snapshots();
  expect(broken).toEqual([]);
  for (const manifest of manifests) {
    for (const entry of objectsOf(manifest)) await Array.fromAsync(repository.openObject(entry));
    expect((await contentsOf(repository, manifest)).size).toBe(manifest.blobs.count);
  }
  return manifests.length;
}

describe('a backup that is killed', () => {
  test('at any step hurts nothing, and the next one goes on where it was', async () => {
    await using system = await openSystem();
    const before = [await system.addFile(system.people.alice, 'one'), await system.addFile(system.people.bob, 'two')];
    await system.create();
    const added = [await system.addFile(system.people.alice, 'three'), await system.addFile(system.people.bob, 'four')];
    let steps = MOST_STEPS;

    const walk = async (number: number) => {
      const kills = Array.from({ length: MOST_STEPS }, (_, index) => index + 1).filter((n) => n % WALKS === number);
      for (const step of kills) {
        if (step > steps) return;
        const directory = join(system.root, `killed-${step}`);
        await mkdir(directory);
        await cp(join(system.root, 'repository'), join(directory, 'repository'), { recursive: true });
        const isDone = await runKilledAt(system, directory, step);
        if (isDone) steps = Math.min(steps, step);

        // What was there is whole; a new backup is there as a whole or not at all.
        const store = diskRepositoryStore({ root: join(directory, 'repository') });
        const repository = await openTestRepository(store);
        const count = await proveSnapshots(repository);
        expect([1, 2]).toContain(count);
        const stored = await repositoryHashes(repository);

        // The next run stores what is missing and nothing else.
        const { store: objects, read } = countingReads(system.objects);
        const result = await system.create({}, { repository, objects, workDir: join(directory, 'work') });
        const missing = added.filter(({ sha256 }) => !stored.has(sha256));
        expect(read.sort()).toEqual(missing.map(({ objectKey }) => objectKey).sort());
        expect(result).toMatchObject({ fileCount: 4, storedBlobs: missing.length, damaged: [] });
        expect(await proveSnapshots(repository)).toBe(count + 1);
        expect(await readdir(directory)).toEqual(['repository']);
      }
    };
    await Promise.all(Array.from({ length: WALKS }, (_, number) => walk(number)));

    expect(steps).toBeGreaterThan(30);
    expect(steps).toBeLessThan(MOST_STEPS);
    const live = new Sqlite(join(system.dataDir, 'main.db'), { readonly: true });
    expect(live.query('PRAGMA integrity_check').values()).toEqual([['ok']]);
    expect(live.query('SELECT id FROM files ORDER BY id').values().flat()).toEqual(
      [...before, ...added].map(({ id }) => id),
    );
    live.close();
  }, 240_000);
});

async function repositoryHashes(repository: Repository): Promise<ReadonlySet<string>> {
  const hashes = new Set<string>();
  for (let shard = 0; shard < 256; shard++) {
    for (const hash of await repository.storedBlobs(shard.toString(16).padStart(2, '0'))) hashes.add(hash);
  }
  return hashes;
}
