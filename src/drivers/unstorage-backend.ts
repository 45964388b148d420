import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { type BuiltinDriverName, builtinDrivers, createStorage, type Driver } from 'unstorage';
import fsDriver from 'unstorage/drivers/fs-lite';
import type { CacheBackend } from '../ports/cache.ts';
import { redisStorage } from './redis-storage.ts';

export interface CacheBackendOptions {
  /** `fs`, `redis`, or another driver that unstorage has; `memory` gives none. */
  readonly driver: string;
  /** The folder of `fs`, the address of `redis`. */
  readonly address: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly onFault: (error: unknown) => void;
}

/** Drivers that hand our time to live on to what removes by itself. */
const EXPIRING = new Set(['redis', 'upstash', 'vercel-kv', 'cloudflare-kv-binding', 'cloudflare-kv-http']);
/** Drivers of what is close by; the others speak HTTP to somewhere. */
const NEAR = new Set(['fs', 'redis', 'lru-cache', 'db0', 'mongodb']);
const FAR_MS = 300;
const REDIS_BASE = 'bunkhouse:cache';

/**
 * A place behind the cache's memory, through unstorage. Only raw items are used: `getItem` would make numbers and booleans of text
 * that looks like them, and several drivers cannot take bytes through `setItem`.
 *
 * @returns `null` for `memory`: a second memory behind the first holds nothing that the first does not.
 * @throws Error when the driver cannot be loaded, for example because it needs a package that is not there.
 */
export async function openCacheBackend(given: CacheBackendOptions): Promise<CacheBackend | null> {
  if (given.driver === 'memory') return null;
  const storage = createStorage<Uint8Array>({ driver: await loadDriver(given) });
  return {
    name: given.driver,
    expires: EXPIRING.has(given.driver),
    ...(NEAR.has(given.driver) ? {} : { patienceMs: FAR_MS }),
    get: async (id) => {
      const value: unknown = await storage.getItemRaw(id);
      return value instanceof Uint8Array ? value : null;
    },
    set: (id, frame, ttlSeconds) => storage.setItemRaw(id, frame, { ttl: ttlSeconds }),
    delete: (id) => storage.removeItem(id),
    list: (prefix) => storage.getKeys(prefix),
    close: () => storage.dispose(),
  };
}

async function loadDriver({ driver, address, options, onFault }: CacheBackendOptions): Promise<Driver> {
  if (driver === 'redis') return redisStorage({ url: address, base: REDIS_BASE, onFault });
  if (driver === 'fs') {
    const base = resolve(address);
    // What is cached may be for one person's eyes.
    mkdirSync(base, { recursive: true, mode: 0o700 });
    return fsDriver({ base });
  }
  try {
    const module = (await import(builtinDrivers[driver as BuiltinDriverName])) as {
      default: (given: object) => Driver;
    };
    return module.default(options);
  } catch (error) {
    const missing = /Cannot find (?:package|module) '([^']+)'/.exec(String(error))?.[1];
    const reason = missing === undefined ? 'its options are not right' : `it needs the package ${missing}`;
    throw new Error(`the cache driver ${driver} cannot be opened: ${reason}`, { cause: error });
  }
}
