import type {
  CacheEntry,
  CacheMeta,
  CachePage,
  CacheQuery,
  CacheStore,
  DataCache,
  PurgeOrder,
} from '../../ports/cache.ts';
import type { Clock } from '../../ports/clock.ts';
import { hitRatioOf } from './cache-metrics.ts';
import { DATA_SPACE } from './data-cache.ts';
import type { Explanation, HttpCacheFace } from './http-cache-face.ts';
import { cacheProblems } from './problems.ts';
import { decodeValue, isCodec } from './values.ts';

export interface CacheServiceOptions {
  readonly store: CacheStore;
  readonly data: DataCache;
  readonly http: HttpCacheFace | null;
  readonly clock: Clock;
}

export interface PutRequest {
  readonly value: unknown;
  /** Seconds. */
  readonly ttl: number;
  readonly tags: readonly string[];
}

export interface WarmReport {
  readonly warmed: number;
  /** Those whose answers were not stored. */
  readonly missed: string[];
}

/** Where the HTTP cache keeps answers; what they lie under is its own affair. */
const HTTP_SPACE = 'http';
/** How many URLs are asked for at once. */
const WARM_AT_ONCE = 4;

/** What the cache's routes do. */
export function createCacheService({ store, data, http, clock }: CacheServiceOptions) {
  const requireHttp = (): HttpCacheFace => {
    if (!http) throw cacheProblems.create('no-http-cache');
    return http;
  };

  return {
    stats() {
      const { spaces, ...stats } = store.stats();
      const total = spaces.reduce(
        (sum, { hits, stale, misses }) => ({
          hits: sum.hits + hits,
          stale: sum.stale + stale,
          misses: sum.misses + misses,
        }),
        { hits: 0, stale: 0, misses: 0 },
      );
      const namespaces = spaces.map(({ name, ...space }) => ({
        namespace: name,
        hitRatio: hitRatioOf(space),
        ...space,
      }));
      return { ...stats, hitRatio: hitRatioOf(total), namespaces };
    },
    list: (query: CacheQuery): Promise<CachePage> => store.list(query),
    async find(key: string, space: string) {
      if (!store.stats().spaces.some(({ name }) => name === space)) return null;
      const { counts, get } = store.space(space);
      const entry = await get(key);
      if (!entry) counts.misses++;
      else if (entry.freshUntil > clock.now()) counts.hits++;
      else counts.stale++;
      return entry && describe(entry, space, clock.now());
    },
    async put(key: string, { value, ttl, tags }: PutRequest) {
      const isKept = data.set(key, value, { ttl, tags });
      await store.settled();
      const entry = isKept ? await store.space(DATA_SPACE).get(key) : null;
      if (!entry) throw cacheProblems.create('not-kept');
      return describe(entry, DATA_SPACE, clock.now());
    },
    delete: (key: string, space: string): Promise<boolean> =>
      store.stats().spaces.some(({ name }) => name === space) ? store.space(space).delete(key) : Promise.resolve(false),
    /** Keys and prefixes are those of values and, as URLs, of stored answers; tags are common to all. */
    async purge({ keys, prefix, soft = false, ...common }: Omit<PurgeOrder, 'spaces'>): Promise<number | null> {
      const named = { soft, ...(keys ? { keys } : {}), ...(prefix === undefined ? {} : { prefix }) };
      const spaces = store.stats().spaces.map(({ name }) => name);
      const purged = await Promise.all([
        store.purge({ ...common, soft }),
        store.purge({ ...named, spaces: spaces.filter((name) => name !== HTTP_SPACE) }),
        keys || prefix !== undefined ? (http?.purge(named) ?? 0) : 0,
      ]);
      return purged.includes(null) ? null : purged.reduce<number>((sum, count) => sum + (count ?? 0), 0);
    },
    explain: async (url: string, headers: Headers): Promise<Explanation> => requireHttp().explain(url, headers),
    async warm(urls: readonly string[]): Promise<WarmReport> {
      const answers = requireHttp();
      const missed: string[] = [];
      const rest = [...new Set(urls)];
      const asked = rest.length;
      const work = async () => {
        for (let url = rest.pop(); url !== undefined; url = rest.pop()) {
          const isStored = await answers.warm(url).catch(() => false);
          if (!isStored) missed.push(url);
        }
      };
      await Promise.all(Array.from({ length: WARM_AT_ONCE }, work));
      return { warmed: asked - missed.length, missed };
    },
  };
}

export type CacheService = ReturnType<typeof createCacheService>;

function describe(entry: CacheEntry, namespace: string, now: number) {
  const { key, meta, tags, body, createdAt, freshUntil, staleUntil } = entry;
  const isData = namespace === DATA_SPACE || namespace.startsWith(`${DATA_SPACE}-`);
  return {
    key,
    namespace,
    state: freshUntil > now ? ('fresh' as const) : ('stale' as const),
    tags: [...tags],
    bytes: body.byteLength,
    createdAt,
    freshUntil,
    staleUntil,
    meta,
    ...(isData ? { value: readValue(body, meta) } : {}),
  };
}

/** As JSON shows it: dates as text, bytes in Base64. */
function readValue(body: Uint8Array, { codec }: CacheMeta): unknown {
  if (!isCodec(codec)) return null;
  return toJson(decodeValue({ body, codec }));
}

function toJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== 'object' || value === null) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, toJson(item)]));
}
