import { parseCacheUrl } from '../config/cache-url.ts';
import type { Config } from '../config/load.ts';
import { openCacheBackend } from '../drivers/unstorage-backend.ts';
import type { CacheBackend } from '../ports/cache.ts';
import type { Finding } from './finding.ts';

const PATIENCE_MS = 2_000;

/** Whether what CACHE_URL points to answers. A server starts without it: what cannot be read is made again. */
export async function checkCache(config: Config): Promise<Finding> {
  const location = parseCacheUrl(config.cacheUrl);
  if (location.driver === 'memory') return { level: 'ok', subject: 'cache', message: 'in memory' };
  try {
    const backend = await openCacheBackend({ ...location, onFault: () => undefined });
    const isThere = backend !== null && (await answersInTime(backend));
    await backend?.close();
    if (!isThere) return { level: 'warning', subject: 'cache', message: 'what CACHE_URL points to does not answer' };
  } catch (error) {
    return { level: 'fault', subject: 'cache', message: error instanceof Error ? error.message : 'cannot be opened' };
  }
  const isAlone = location.driver !== 'fs' && config.redisUrl === undefined;
  return isAlone
    ? { level: 'warning', subject: 'cache', message: 'without REDIS_URL other machines learn of a purge seconds later' }
    : { level: 'ok', subject: 'cache', message: location.driver };
}

async function answersInTime(backend: CacheBackend): Promise<boolean> {
  const endsAt = performance.now() + PATIENCE_MS;
  while (performance.now() < endsAt) {
    const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), PATIENCE_MS).unref());
    const answer = backend.get('meta:probe').then(
      () => true,
      () => null,
    );
    const isThere = await Promise.race([answer, late]);
    if (isThere !== null) return isThere;
    // Not connected yet.
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}
