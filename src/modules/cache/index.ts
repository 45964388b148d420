import type { HealthCheck } from '../../kernel/checks.ts';
import type { MemoryTier } from '../../kernel/memory-tier.ts';
import type { Metrics } from '../../kernel/metrics.ts';
import type { Bus } from '../../ports/bus.ts';
import type { CacheBackend, DataCache } from '../../ports/cache.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Module } from '../../web/module.ts';
import { createLoadMetric, publishCacheStats } from './cache-metrics.ts';
import { createDataCache } from './data-cache.ts';
import type { HttpCacheFace } from './http-cache-face.ts';
import { answerPurge, type PurgeCaller } from './purge-method.ts';
import { cacheRoutes } from './routes.ts';
import { createCacheService } from './service.ts';
import { createCacheStore, type OpenCacheStore } from './store.ts';

export { createHttpCache } from './http-cache.ts';
export type { HttpCacheFace } from './http-cache-face.ts';
export type { HttpMeta } from './http-entry.ts';
export { createHttpOperations } from './http-operations.ts';
export { httpCacheProblems } from './http-problems.ts';
export { createHttpRules } from './http-rules.ts';
export { cacheProblems } from './problems.ts';
export type { OpenCacheStore } from './store.ts';

export interface CacheStoreParts {
  readonly backend: CacheBackend | null;
  /** Shared with whoever else keeps in memory what may be asked for again. */
  readonly memory: MemoryTier;
  /** Bound of a backend that expires nothing by itself. */
  readonly backendBytes?: number;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The store of this process, joined to those of others by the bus. */
export function createSharedStore({ bus, log, metrics, ...options }: CacheStoreParts): OpenCacheStore {
  const store = createCacheStore({
    ...options,
    onLoad: createLoadMetric(metrics),
    onFault: (error) => log.warn({ err: error }, 'the cache backend does not answer; memory goes on alone'),
    // It is told again when the bus is back.
    tell: (notes) => void bus.signal({ kind: 'purge', notes }).catch(() => undefined),
  });
  bus.listen({
    onSignal: (signal) => {
      if (signal.kind === 'purge') store.obey(signal.notes);
    },
    onDoubt: (topic) => {
      if (topic === null) store.doubt();
    },
    onPublication: () => undefined,
    onPresence: () => undefined,
  });
  publishCacheStats(metrics, () => store.stats());
  return store;
}

export interface CacheOptions {
  readonly store: OpenCacheStore;
  /** Explains, purges by URL and warms; without it there are no answers to do that with. */
  readonly http: HttpCacheFace | null;
  /** Whether an address is that of PHP, where PHP runs beside this machine; it may PURGE. */
  readonly isSidecar: ((address: string) => Promise<boolean>) | null;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Cache extends Module {
  readonly checks: readonly HealthCheck[];
  /** For services, plugins and calls; each takes a scope of its own. */
  readonly data: DataCache;
  /** For the gate: `PURGE <url>`, from loopback, PHP or an admin. */
  answerPurge(request: Request, from: PurgeCaller): Promise<Response>;
}

/** Look into the cache, purge, explain and warm; and the cache of values. */
export function createCache({ store, http, isSidecar, clock, log }: CacheOptions): Cache {
  const data = createDataCache({
    store,
    clock,
    onFault: (error) => log.warn({ err: error }, 'a cached value could not be renewed; the stale one stands in'),
  });
  const service = createCacheService({ store, data, http, clock });
  return {
    name: 'cache',
    routes: cacheRoutes(service),
    data,
    answerPurge: (request, from) => answerPurge(request, from, { purge: service.purge, isSidecar }),
    checks: [
      {
        name: 'cache',
        isVital: false,
        run: async () => {
          const { backend, driver, hitRatio, memory } = service.stats();
          const ratio = hitRatio === null ? 'nothing asked yet' : `hit ratio ${hitRatio}`;
          const detail = `${driver}, ${memory.entries} entries in memory, ${ratio}`;
          return { status: backend === 'down' ? 'degraded' : 'ok', detail };
        },
      },
    ],
    start: () => store.start(),
    stop: () => store.stop(),
  };
}
