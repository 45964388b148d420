import { parseCacheUrl } from './config/cache-url.ts';
import type { Config } from './config/load.ts';
import { fittingCacheBytes } from './drivers/cache-budget.ts';
import { fallbackBus } from './drivers/fallback-bus.ts';
import { fanOutBus } from './drivers/fan-out-bus.ts';
import { memoryBus } from './drivers/memory-bus.ts';
import { memoryRateLimiter } from './drivers/memory-rate-limiter.ts';
import { redisBus } from './drivers/redis-bus.ts';
import { redisRateLimiter } from './drivers/redis-rate-limiter.ts';
import { openCacheBackend } from './drivers/unstorage-backend.ts';
import { MemoryTier } from './kernel/memory-tier.ts';
import type { Metrics } from './kernel/metrics.ts';
import { createSharedStore, type OpenCacheStore } from './modules/cache/index.ts';
import type { Bus } from './ports/bus.ts';
import type { Clock } from './ports/clock.ts';
import type { Logger } from './ports/logger.ts';
import type { RateLimiter } from './ports/rate-limiter.ts';

/** How long the start waits for Redis. */
const BUS_WAIT_MS = 5_000;

/** What several processes have in common over Redis; without it, and while it is away, one process keeps it for itself. */
export interface SharedState {
  readonly limiter: RateLimiter;
  readonly bus: Bus;
  readonly cacheStore: OpenCacheStore;
  /** What of this process's memory is the cache's. */
  readonly memory: MemoryTier;
  /** Waits for Redis, but not for long: clients that came before it is there would be told that their past is lost. */
  start(): Promise<void>;
  closeLimiter(): void | Promise<void>;
}

export async function openSharedState(
  config: Config,
  { clock, log, metrics }: { readonly clock: Clock; readonly log: Logger; readonly metrics: Metrics },
): Promise<SharedState> {
  const onRedisFault = (error: unknown) => log.warn({ err: error }, 'Redis cannot be reached');
  const localLimiter = memoryRateLimiter(clock);
  const sharedLimiter = config.redisUrl
    ? redisRateLimiter({ url: config.redisUrl, local: localLimiter, onFault: onRedisFault })
    : null;
  const limiter = sharedLimiter ?? localLimiter;
  const localBus = memoryBus({ clock });
  const sharedBus = config.redisUrl
    ? redisBus({
        url: config.redisUrl,
        clock,
        onFault: onRedisFault,
        onChange: (isUp) => log.info({ isUp }, isUp ? 'Redis is there' : 'Redis is gone; this process goes on alone'),
      })
    : null;
  const bus = fanOutBus(sharedBus ? fallbackBus(sharedBus, localBus) : localBus);
  const cacheLocation = parseCacheUrl(config.cacheUrl);
  const memory = new MemoryTier(cacheLocation.memoryBytes ?? fittingCacheBytes());
  const cacheStore = createSharedStore({
    backend: await openCacheBackend({ ...cacheLocation, onFault: onRedisFault }),
    memory,
    ...(cacheLocation.diskBytes === undefined ? {} : { backendBytes: cacheLocation.diskBytes }),
    bus,
    clock,
    log,
    metrics,
  });
  return {
    limiter,
    bus,
    cacheStore,
    memory,
    async start() {
      if (!sharedBus) return;
      const late = new Promise<void>((resolve) => setTimeout(resolve, BUS_WAIT_MS).unref());
      await Promise.race([sharedBus.opened, late]);
    },
    closeLimiter: () => sharedLimiter?.close(),
  };
}
