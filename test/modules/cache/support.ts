import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCacheBackend } from '../../../src/drivers/unstorage-backend.ts';
import { MemoryTier } from '../../../src/kernel/memory-tier.ts';
import { type CacheStoreOptions, createCacheStore, type OpenCacheStore } from '../../../src/modules/cache/store.ts';
import type { CacheBackend } from '../../../src/ports/cache.ts';
import type { CacheStoreUnderTest } from '../../contracts/cache-store.ts';
import { eventually } from '../../support/eventually.ts';
import { fakeClock } from '../../support/fakes.ts';

/** A store as small as tests want it, whose backend may be as slow as a busy machine is. */
export function smallStore(options: Partial<CacheStoreOptions> = {}): OpenCacheStore {
  return createCacheStore({
    clock: fakeClock(),
    backend: null,
    memory: new MemoryTier(1_500_000),
    maxEntryBytes: 300_000,
    readMs: 5_000,
    ...options,
  });
}

/** One store on memory alone. */
export async function memoryStore(): Promise<CacheStoreUnderTest> {
  const clock = fakeClock();
  const store = smallStore({ clock });
  return { store, clock, reopen: async () => store, close: () => store.stop() };
}

/** Stores that meet in one backend, each opened anew. */
export async function storesOn(openBackend: () => Promise<CacheBackend | null>): Promise<CacheStoreUnderTest> {
  const clock = fakeClock();
  const all: OpenCacheStore[] = [];
  const reopen = async () => {
    const store = smallStore({ clock, backend: await openBackend() });
    all.push(store);
    await eventually(async () => {
      await store.start();
      return store.stats().backend === 'up';
    });
    return store;
  };
  return {
    store: await reopen(),
    clock,
    reopen,
    async close() {
      for (const store of all) await store.stop();
    },
  };
}

export const backendOf = (driver: string, address: string) =>
  openCacheBackend({ driver, address, options: {}, onFault: () => undefined });

/** A folder that is gone with the test. */
export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'bunkhouse-cache-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
