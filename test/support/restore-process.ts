import { join } from 'node:path';
import { silentLog } from '../../src/cli/silent-log.ts';
import { databaseImages } from '../../src/db/database-images.ts';
import { loadMigrations } from '../../src/db/migrate.ts';
import { prepareRestoredDatabase } from '../../src/db/restored-database.ts';
import { diskObjectStore } from '../../src/drivers/disk-object-store.ts';
import { diskRepositoryStore } from '../../src/drivers/disk-repository-store.ts';
import { unpackingThreads } from '../../src/drivers/unpacking-threads.ts';
import { zstdCompressor } from '../../src/drivers/zstd-compressor.ts';
import { uuidv7 } from '../../src/kernel/ids.ts';
import { openRepository } from '../../src/modules/backups/repository.ts';
import { prepareRestore } from '../../src/modules/backups/restore.ts';
import { systemClock } from '../../src/ports/clock.ts';

/**
 * Restores the latest backup and prints each step; with a number, the process is killed at that step as by `kill -9`: before it when
 * the number is even, in the middle or after it when it is odd.
 * Usage: restore-process.ts DATA_DIR REPOSITORY [NUMBER]
 */
const [dataDir = '', root = '', deathAt] = process.argv.slice(2);
let count = 0;
const mayDie = (): void => {
  if (String(count++) === deathAt) process.kill(process.pid, 'SIGKILL');
};
const step = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
  mayDie();
  process.stdout.write(`${name}\n`);
  const result = await work();
  mayDie();
  return result;
};

const store = diskRepositoryStore({ root });
const repository = await openRepository({
  store,
  compress: zstdCompressor,
  clock: systemClock,
  holder: { host: 'test', pid: process.pid },
});
const manifest = await repository.find('latest');
if (!manifest) throw new Error('there is no backup');
const images = databaseImages([]);
const objects = diskObjectStore({ root: join(dataDir, 'objects') });
const { putFile, sizeNow, flush } = objects;

await prepareRestore(
  {
    repository: {
      ...repository,
      async *openObject(entry) {
        for await (const chunk of repository.openObject(entry))
          yield await step(`read ${entry.key}`, async () => chunk);
      },
    },
    images: { ...images, inspect: (...args) => step('inspect', () => images.inspect(...args)) },
    unpacking() {
      const threads = unpackingThreads();
      return { ...threads, unpack: (file, to) => step(`unpack ${file.path}`, () => threads.unpack(file, to)) };
    },
    clock: systemClock,
    knownMigrations: loadMigrations().map(({ name }) => name),
    prepareMain: (path, options) =>
      step('prepare', () =>
        prepareRestoredDatabase({ kind: 'file', name: 'main', path, engine: 'sqlite' }, { ...options, log: silentLog }),
      ),
    assertProtected: () => step('confirm', async () => undefined),
  },
  {
    dataDir,
    databasePath: (name) => join(dataDir, `${name}.db`),
    objects: {
      get: objects.get,
      list: objects.list,
      put: (key, body, options) => step('put', () => objects.put(key, body, options)),
      ...(putFile ? { putFile: (key, fill) => step('put', () => putFile(key, fill)) } : {}),
      ...(sizeNow ? { sizeNow } : {}),
      ...(flush ? { flush: () => step('flush', flush) } : {}),
      delete: (key) => step('delete', () => objects.delete(key)),
      settle: (key) => step('settle', () => objects.settle(key)),
    },
  },
  { id: uuidv7(), manifest },
);
