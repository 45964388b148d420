import { join, resolve } from 'node:path';
import type { Config } from './config/load.ts';
import { joinProxyRoutes } from './config/proxy-routes.ts';
import { fetchUpstream } from './drivers/fetch-upstream.ts';
import { hostAddresses } from './drivers/host-addresses.ts';
import { openPhpPool } from './drivers/php-pools.ts';
import { openStaticFile } from './drivers/static-files.ts';
import { randomToken } from './kernel/ids.ts';
import type { MemoryTier } from './kernel/memory-tier.ts';
import type { Metrics } from './kernel/metrics.ts';
import { SESSION_COOKIE } from './modules/auth/index.ts';
import {
  createCache,
  createHttpCache,
  createHttpOperations,
  createHttpRules,
  type HttpMeta,
  type OpenCacheStore,
} from './modules/cache/index.ts';
import { createGateway } from './modules/gateway/index.ts';
import { createPhp } from './modules/php/index.ts';
import { createProxy } from './modules/proxy/index.ts';
import { VERSION } from './paths.ts';
import type { Clock } from './ports/clock.ts';
import type { Logger } from './ports/logger.ts';
import { problemTables } from './problem-tables.ts';
import type { Module } from './web/module.ts';

export interface SiteParts {
  readonly dataDir: string;
  readonly cacheStore: OpenCacheStore;
  readonly memory: MemoryTier;
  /** What PHP publishes to topics with. */
  readonly publisherKey: string;
  readonly publicUrl: () => string;
  /** Where programs on this machine reach us. */
  readonly localUrl: () => string;
  readonly isHostAllowed: (host: string) => boolean;
  readonly isServed: (module: Module) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What answers the URLs of a site, and the one cache before it: public files, PHP, and upstreams. */
export function createSite(config: Config, parts: SiteParts) {
  const { dataDir, cacheStore, memory, publisherKey, publicUrl, localUrl, isHostAllowed, isServed } = parts;
  const { clock, log, metrics } = parts;
  const httpCache = createHttpCache({
    space: cacheStore.space<HttpMeta>('http'),
    clock,
    randomId: () => randomToken(9),
    onFault: (error) => log.warn({ err: error }, 'a stored answer could not be renewed'),
  });
  const httpOperations = createHttpOperations({
    cache: httpCache,
    purge: (order) => cacheStore.purge(order),
    origins: () => (isServed(php) ? [proxy.origin, php.origin] : [proxy.origin]),
    publicUrl,
    isHostAllowed,
    now: clock.now,
  });
  const { phpFpm } = config;
  const cache = createCache({
    store: cacheStore,
    http: httpOperations,
    isSidecar: typeof phpFpm === 'object' && 'hostname' in phpFpm ? hostAddresses(phpFpm.hostname, clock) : null,
    clock,
    log,
  });
  const ruleFor = createHttpRules(config.cacheRules ?? []);
  const proxy = createProxy({
    routes: joinProxyRoutes(config.proxyRoutes ?? []),
    send: fetchUpstream,
    cache: httpCache,
    ruleFor,
    clock,
    instance: randomToken(9),
    ownCookie: SESSION_COOKIE,
  });
  const php = createPhp({
    root: config.phpRoot,
    mount: config.phpMount,
    mode: config.phpMode,
    script: config.phpScript,
    deny: config.phpDeny,
    follow: config.phpFollow ?? [],
    sendfileRoot: config.phpSendfileRoot,
    createPool: (observer) =>
      openPhpPool(
        {
          phpFpm: config.phpFpm,
          documentRoot: resolve(config.phpRoot),
          dataDir,
          children: config.phpChildren,
          maxBodyBytes: config.uploadMaxSize,
          log,
        },
        observer,
      ),
    maxBodyBytes: config.uploadMaxSize,
    spoolDir: join(dataDir, 'php-fpm', 'spool'),
    version: VERSION,
    host: config.host,
    publish: () => ({ url: `${localUrl()}/api/sockets/publish`, key: publisherKey }),
    sessionCookie: SESSION_COOKIE,
    cache: httpCache,
    ruleFor,
    before: () => gateway.fallbacks ?? [],
    openFile: openStaticFile,
    clock,
    log,
    metrics,
  });
  const gateway = createGateway({
    publicDir: resolve(config.publicDir),
    openFile: openStaticFile,
    clock,
    memory,
    problems: problemTables,
  });
  return { cache, proxy, php, gateway };
}
