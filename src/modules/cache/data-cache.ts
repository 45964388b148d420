import { inTime } from '../../kernel/in-time.ts';
import type { CacheEntry, CacheOptions, CacheSpace, CacheStore, DataCache, Load, Moment } from '../../ports/cache.ts';
import type { Clock } from '../../ports/clock.ts';
import { createBackOff } from './back-off.ts';
import { cacheProblems } from './problems.ts';
import { type Codec, decodeValue, encodeValue, isCodec } from './values.ts';

export interface DataCacheOptions {
  readonly store: CacheStore;
  readonly clock: Clock;
  /** Hears of loads that failed while nobody waited for them. */
  readonly onFault: (error: unknown, key: string) => void;
}

type ValueMeta = { readonly codec: Codec };

/** One load under way, for everybody who asks meanwhile. */
interface Flight {
  readonly begunAt: Moment;
  readonly value: Promise<unknown>;
  /** Somebody has seen to it that its failure is told. */
  isWatched: boolean;
}

const DEFAULT_HARD_TIMEOUT = 30;
const DEFAULT_JITTER = 0.1;
const MAX_NEGATIVE_TTL = 10;
/** A value made from JSON takes more memory than its text, and the text is kept as well. */
const VALUE_WEIGHT = 4;
export const DATA_SPACE = 'data';
/** Values of entries that were stored with another version's codec are made again. */
const NOT_READABLE = Symbol('not readable');

/** A {@link DataCache} whose keys lie in the space `data`, and those of its scopes in `data-…`. */
export function createDataCache(options: DataCacheOptions): DataCache {
  return openScope(DATA_SPACE, options);
}

function openScope(name: string, options: DataCacheOptions): DataCache {
  const { store, clock, onFault } = options;
  const space: CacheSpace<ValueMeta> = store.space(name, { weight: VALUE_WEIGHT });
  const { counts } = space;
  const flights = new Map<string, Flight>();
  const backOff = createBackOff(clock);

  const readValue = (entry: CacheEntry<ValueMeta>): unknown => {
    if (entry.memo !== undefined) return entry.memo;
    const { codec } = entry.meta;
    if (!isCodec(codec)) return NOT_READABLE;
    const value = decodeValue({ codec, body: entry.body });
    if (codec === 'json') entry.memo = value;
    return value;
  };
  const draftOf = (value: unknown, { ttl, swr = 0, staleIfError = swr, tags = [] }: CacheOptions) => {
    const { body, codec } = encodeValue(value);
    const freshUntil = clock.now() + ttl * 1000;
    return { body, tags, meta: { codec }, freshUntil, staleUntil: freshUntil + Math.max(swr, staleIfError) * 1000 };
  };

  const takeOff = (key: string, given: CacheOptions, load: Load<unknown>): Flight => {
    const begunAt = space.begin();
    const startedAt = performance.now();
    const late = new AbortController();
    const timer = setTimeout(
      () => {
        late.abort();
        backOff.failed(key);
        if (flight.isWatched) onFault(cacheProblems.create('load-timeout'), key);
        if (flights.get(key) === flight) flights.delete(key);
      },
      (given.hardTimeout ?? DEFAULT_HARD_TIMEOUT) * 1000,
    );
    const run = async () => {
      let hasFailed = false;
      try {
        const made = await load({ signal: late.signal });
        const draft = draftOf(made, { ...given, ttl: lifetimeOf(made, given) });
        backOff.succeeded(key);
        const entry = space.set(key, draft, begunAt);
        return entry ? readValue(entry) : decodeValue({ codec: draft.meta.codec, body: draft.body });
      } catch (error) {
        hasFailed = true;
        backOff.failed(key);
        throw error;
      } finally {
        clearTimeout(timer);
        space.loaded((performance.now() - startedAt) / 1000, hasFailed);
        if (flights.get(key) === flight) flights.delete(key);
      }
    };
    const flight: Flight = { begunAt, value: Promise.resolve().then(run), isWatched: false };
    flight.value.catch(() => undefined);
    flights.set(key, flight);
    return flight;
  };

  const board = (key: string, given: CacheOptions, load: Load<unknown>): Flight => {
    const underway = flights.get(key);
    // What was begun before a purge must not reach those who ask after it.
    if (!underway || !space.isCurrent(key, given.tags ?? [], underway.begunAt)) return takeOff(key, given, load);
    counts.coalesced++;
    return underway;
  };

  /** @param entry stale, or nothing. */
  const make = async (
    key: string,
    given: CacheOptions,
    load: Load<unknown>,
    entry: CacheEntry<ValueMeta> | null,
  ): Promise<unknown> => {
    const stale = entry && entry.staleUntil > clock.now() ? readValue(entry) : NOT_READABLE;
    if (!entry || stale === NOT_READABLE) {
      counts.misses++;
      return withLimit(board(key, given, load).value, given.hardTimeout ?? DEFAULT_HARD_TIMEOUT);
    }
    const answerStale = () => {
      counts.stale++;
      return stale;
    };
    if (backOff.isWaiting(key)) return answerStale();
    const flight = board(key, given, load);
    const { swr = 0, softTimeout, hardTimeout = DEFAULT_HARD_TIMEOUT } = given;
    // After a soft purge there is no moment at which freshness ended; it may be stale as long as it may.
    const isBridged = swr > 0 && (entry.freshUntil === 0 || entry.freshUntil + swr * 1000 > clock.now());
    const patience = Math.min(softTimeout ?? (isBridged ? 0 : hardTimeout), hardTimeout);
    if (!flight.isWatched) {
      flight.isWatched = true;
      flight.value.catch((error) => onFault(error, key));
    }
    if (patience === 0) return answerStale();
    try {
      const value = await withLimit(flight.value, patience);
      counts.misses++;
      return value;
    } catch {
      return answerStale();
    }
  };

  const hit = (entry: CacheEntry<ValueMeta>): unknown => {
    if (entry.freshUntil <= clock.now()) return NOT_READABLE;
    const value = readValue(entry);
    if (value !== NOT_READABLE) counts.hits++;
    return value;
  };
  const ask = async (
    key: string,
    given: CacheOptions,
    load: Load<unknown>,
    asked: Promise<CacheEntry<ValueMeta> | null>,
  ) => {
    const entry = await asked;
    const value = entry ? hit(entry) : NOT_READABLE;
    return value === NOT_READABLE ? make(key, given, load, entry) : value;
  };

  return {
    get<T>(key: string, given: CacheOptions, load: Load<T>): Promise<T> {
      const found = space.get(key);
      if (found instanceof Promise) return ask(key, given, load, found) as Promise<T>;
      const value = found ? hit(found) : NOT_READABLE;
      return (value === NOT_READABLE ? make(key, given, load, found) : Promise.resolve(value)) as Promise<T>;
    },
    async find<T>(key: string) {
      const entry = await space.get(key);
      const value = entry ? hit(entry) : NOT_READABLE;
      if (value !== NOT_READABLE) return value as T;
      counts.misses++;
      return undefined;
    },
    set: (key, value, given) => space.replace(key, draftOf(value, given)) !== null,
    delete: (key) => space.delete(key),
    purge: (order) => store.purge({ ...order, spaces: [name] }),
    scope: (scoped) => openScope(`${name}-${scoped}`, options),
  };
}

/** Seconds; "there is nothing" is believed for less long, and what was made together does not end together. */
function lifetimeOf(value: unknown, { ttl, negativeTtl, jitter = DEFAULT_JITTER }: CacheOptions): number {
  const isNothing = value === null || value === undefined;
  const lifetime = isNothing ? (negativeTtl ?? Math.min(ttl, MAX_NEGATIVE_TTL)) : ttl;
  return lifetime * (1 - Math.random() * jitter);
}

function withLimit<T>(running: Promise<T>, seconds: number): Promise<T> {
  return inTime(running, seconds * 1000, () => cacheProblems.create('load-timeout'));
}
