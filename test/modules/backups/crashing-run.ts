/**
 * Takes a backup in a process of its own that kills itself at the n-th step: `crashing-run.ts DATABASE OBJECTS REPOSITORY WORKDIR N`.
 * A step is the beginning, the middle or the end of anything that it asks of the repository, the databases or the objects.
 */
import { databaseImages } from '../../../src/db/database-images.ts';
import { diskObjectStore } from '../../../src/drivers/disk-object-store.ts';
import { diskRepositoryStore } from '../../../src/drivers/disk-repository-store.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import { createBackup } from '../../../src/modules/backups/create.ts';
import { systemClock } from '../../../src/ports/clock.ts';
import type { RepositoryStore } from '../../../src/ports/repository-store.ts';
import { openTestRepository, TEST_SETTINGS } from './system.ts';

const [path = '', objectsRoot = '', repositoryRoot = '', workDir = '', last = ''] = process.argv.slice(2);
let left = Number(last);

/** Ends the process as a power switch would, when it is time. */
function step(): void {
  left--;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

/** The same thing, each of its calls framed by steps. */
function stepping<T extends object>(target: T, names: readonly (keyof T & string)[]): T {
  const framed = names.map((name) => {
    const work = (target[name] as (...args: unknown[]) => Promise<unknown>).bind(target);
    const around = (...args: unknown[]) => {
      step();
      return work(...args).finally(step);
    };
    return [name, around];
  });
  return { ...target, ...Object.fromEntries(framed) };
}

async function* halved(body: Uint8Array | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body instanceof Uint8Array ? [body] : body) {
    yield chunk.subarray(0, chunk.length >> 1);
    step();
    yield chunk.subarray(chunk.length >> 1);
  }
}

const plain = diskRepositoryStore({ root: repositoryRoot });
const putting: RepositoryStore = { ...plain, put: (key, body, options) => plain.put(key, halved(body), options) };
const store = stepping(putting, ['put', 'get', 'read', 'stat', 'delete', 'check']);
const images = databaseImages([{ kind: 'file', name: 'main', path, engine: 'sqlite' }]);
await createBackup(
  { kind: 'create', id: uuidv7(), scope: 'system', userId: null, note: '' },
  {
    ...TEST_SETTINGS,
    repository: await openTestRepository(store),
    images: stepping(images, ['take', 'inspect', 'fileTotals']),
    objects: stepping(diskObjectStore({ root: objectsRoot }), ['get', 'read']),
    clock: systemClock,
    guard: { isHeld: async () => true },
    workDir,
  },
);
