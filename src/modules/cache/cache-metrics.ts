import type { Metrics } from '../../kernel/metrics.ts';
import type { CacheSpaceStats, CacheStats } from '../../ports/cache.ts';

const LOAD_BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10];

/** Hears how long loads take. */
export type OnLoad = (space: string, seconds: number) => void;

export function createLoadMetric(metrics: Metrics): OnLoad {
  const loads = metrics.histogram('bunkhouse_cache_load_seconds', 'Time to make what was missing.', LOAD_BUCKETS);
  return (namespace, seconds) => loads.observe({ namespace }, seconds);
}

/** Publishes what a store counts, by namespace. */
export function publishCacheStats(metrics: Metrics, read: () => CacheStats): void {
  const by = (value: (space: CacheSpaceStats) => number) => () =>
    read().spaces.map((space) => ({ labels: { namespace: space.name }, value: value(space) }));
  metrics.total(
    'bunkhouse_cache_hits_total',
    'Answered with something fresh.',
    by(({ hits }) => hits),
  );
  metrics.total(
    'bunkhouse_cache_misses_total',
    'Had to be made.',
    by(({ misses }) => misses),
  );
  metrics.total(
    'bunkhouse_cache_stale_total',
    'Answered with something stale.',
    by(({ stale }) => stale),
  );
  metrics.total(
    'bunkhouse_cache_coalesced_total',
    'Waited for a load of somebody else.',
    by(({ coalesced }) => coalesced),
  );
  metrics.total(
    'bunkhouse_cache_load_errors_total',
    'Loads that failed.',
    by(({ loadErrors }) => loadErrors),
  );
  metrics.total(
    'bunkhouse_cache_evictions_total',
    'Forgotten for want of memory.',
    by(({ evictions }) => evictions),
  );
  metrics.total('bunkhouse_cache_found_total', 'Entries found, by where they were.', () =>
    read().spaces.flatMap(({ name, memoryHits, backendHits }) => [
      { labels: { namespace: name, tier: 'memory' }, value: memoryHits },
      { labels: { namespace: name, tier: 'backend' }, value: backendHits },
    ]),
  );
  metrics.gauge(
    'bunkhouse_cache_bytes',
    'Memory that entries take.',
    by(({ bytes }) => bytes),
  );
  metrics.gauge(
    'bunkhouse_cache_entries',
    'Entries in memory.',
    by(({ entries }) => entries),
  );
  metrics.gauge('bunkhouse_cache_backend_up', 'Whether what lies behind memory answers.', () =>
    read().backend === 'none' ? [] : [{ labels: { driver: read().driver }, value: read().backend === 'up' ? 1 : 0 }],
  );
}

/** The part of requests that were spared a load; null while there was none. */
export function hitRatioOf(counts: Pick<CacheSpaceStats, 'hits' | 'stale' | 'misses'>): number | null {
  const served = counts.hits + counts.stale;
  const asked = served + counts.misses;
  return asked === 0 ? null : Math.round((served / asked) * 10_000) / 10_000;
}
