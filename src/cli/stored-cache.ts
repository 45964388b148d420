import { parseCacheUrl } from '../config/cache-url.ts';
import type { Config } from '../config/load.ts';
import { openCacheBackend } from '../drivers/unstorage-backend.ts';
import { MemoryTier } from '../kernel/memory-tier.ts';
import { createCacheStore, type OpenCacheStore } from '../modules/cache/store.ts';
import type { CacheBackend, PurgeOrder } from '../ports/cache.ts';
import { systemClock } from '../ports/clock.ts';
import { CommandError } from './command.ts';

/** For what passes through while a command runs. */
const MEMORY_BYTES = 4 * 1024 * 1024;
/** Nobody waits behind a command but the person who gave it. */
const READ_MS = 5_000;
const PAGE = 1_000;

export interface StoredNamespace {
  readonly namespace: string;
  readonly entries: number;
  readonly bytes: number;
}

/**
 * What lies where `CACHE_URL` points.
 * @param away why the running server was not asked instead; thrown when there is nothing but its memory.
 */
export function readStoredCache(config: Config, away: CommandError): Promise<StoredNamespace[]> {
  return withStore(config, away, async (store) => {
    const found = new Map<string, { entries: number; bytes: number }>();
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: Awaited<ReturnType<OpenCacheStore['list']>> = await store.list({ prefix: '', limit: PAGE, cursor });
      for (const { space, bytes } of page.items) {
        const sum = found.get(space) ?? { entries: 0, bytes: 0 };
        found.set(space, { entries: sum.entries + 1, bytes: sum.bytes + bytes });
      }
      cursor = page.nextCursor;
    }
    return [...found].map(([namespace, sum]) => ({ namespace, ...sum }));
  });
}

/** Purges where `CACHE_URL` points; servers that run take it over from there. See {@link readStoredCache} for `away`. */
export function purgeStoredCache(config: Config, away: CommandError, order: PurgeOrder): Promise<number | null> {
  return withStore(config, away, async (store, backend) => {
    // A key lies in one namespace, and which there are is known to the backend alone.
    for (const id of await backend.list('v1:')) store.space(id.split(':')[1] ?? '');
    return store.purge(order);
  });
}

async function withStore<T>(
  config: Config,
  away: CommandError,
  work: (store: OpenCacheStore, backend: CacheBackend) => Promise<T>,
): Promise<T> {
  const backend = await openCacheBackend({ ...parseCacheUrl(config.cacheUrl), onFault: () => undefined });
  if (!backend) throw new CommandError(`${away.message}, and a cache in memory is the server's own`);
  const store = createCacheStore({
    clock: systemClock,
    backend,
    memory: new MemoryTier(MEMORY_BYTES),
    readMs: READ_MS,
  });
  try {
    await store.start();
    if (store.stats().backend !== 'up') throw new CommandError('what CACHE_URL points to does not answer');
    return await work(store, backend);
  } finally {
    await store.stop();
  }
}
