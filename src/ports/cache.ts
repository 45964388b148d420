/**
 * One cache for everything that can be made again: values of functions, HTTP answers, images, parse results.
 *
 * `CacheStore` keeps bytes under a key in a namespace, in memory first and behind that wherever `CACHE_URL` points.
 * `DataCache` stands on it and keeps values of functions. `CacheBackend` is what a driver supplies.
 *
 * Nothing here fails because a backend does: what cannot be read is a miss, what cannot be written is not kept.
 */

/** At once where the answer is in memory, else later. */
export type Soon<T> = T | Promise<T>;

/** What is kept beside the bytes: JSON, small. */
export type CacheMeta = Readonly<Record<string, unknown>>;

/** One entry as it lies in the store. Shared between its readers: neither the body nor the rest may be written to. */
export interface CacheEntry<Meta extends CacheMeta = CacheMeta> {
  /** The key as it was given. */
  readonly key: string;
  readonly body: Uint8Array;
  readonly meta: Meta;
  readonly tags: readonly string[];
  /** When it was stored, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** Until when it may be used without asking again; 0 after a soft purge. */
  readonly freshUntil: number;
  /** When it is gone. */
  readonly staleUntil: number;
  /** For the space's one reader: what it made of the entry, kept while the entry is in memory. */
  memo?: unknown;
}

export interface CacheDraft<Meta extends CacheMeta = CacheMeta> {
  /** Taken over: the caller does not write to it any more. */
  readonly body: Uint8Array;
  readonly meta: Meta;
  readonly tags?: readonly string[];
  readonly freshUntil: number;
  /** At least `freshUntil`; how long a stale entry may still be asked for. */
  readonly staleUntil: number;
}

/**
 * A moment on the store's own clock, which never stands still or goes back: what was begun before a purge is older than the purge,
 * even within one millisecond and across machines whose clocks differ by less than a second.
 */
export type Moment = number;

export interface CacheStore {
  /** The entries of one purpose. Names are `[a-z][a-z0-9-]*`; the same name gives the same space. */
  space<Meta extends CacheMeta>(name: string, options?: CacheSpaceOptions): CacheSpace<Meta>;
  /**
   * Makes entries unusable, here at once and elsewhere by the bus. What is being made meanwhile will not be stored, when it was
   * begun before. @returns how many entries were removed, or `null` when nothing was counted (tags, prefix, all, soft).
   */
  purge(order: PurgeOrder): Promise<number | null>;
  /** Entries in no particular order. Walks the backend in bounded steps: for people, not for requests. */
  list(query: CacheQuery): Promise<CachePage>;
  stats(): CacheStats;
  /** Resolves when everything that was to be written to the backend is there, or given up. */
  settled(): Promise<void>;
}

export interface CacheSpaceOptions {
  /** How much more memory than its bytes an entry costs, for readers that keep something made from it. Default 1. */
  readonly weight?: number;
}

export interface CacheSpace<Meta extends CacheMeta = CacheMeta> {
  readonly name: string;
  /** The entry, fresh or stale, or `null`. A promise only when the backend has to be asked. Never rejects. */
  get(key: string): Soon<CacheEntry<Meta> | null>;
  /** Sets an entry's `memo` and counts what that takes; leaves it unset where the entry is not held in memory, or there is no room. */
  remember(entry: CacheEntry<Meta>, memo: unknown, bytes: number): void;
  /** To be taken before something is made that {@link set} will store. */
  begin(): Moment;
  /**
   * Stores an entry, in memory at once and in the backend in the background.
   * @param begunAt from {@link begin}; a purge after it wins.
   * @returns the entry, or `null` when it was not kept: too large, over already, or purged meanwhile.
   */
  set(key: string, draft: CacheDraft<Meta>, begunAt: Moment): CacheEntry<Meta> | null;
  /** Stores an entry in place of what there is, on every machine: what is being made meanwhile will not be stored. */
  replace(key: string, draft: CacheDraft<Meta>): CacheEntry<Meta> | null;
  /** Whether what was begun then, with these tags, has not been purged since, softly or hard. */
  isCurrent(key: string, tags: readonly string[], begunAt: Moment): boolean;
  /** Removes one entry, everywhere. @returns whether there was one. */
  delete(key: string): Promise<boolean>;
  /** Counts are the user's to raise. */
  readonly counts: CacheCounts;
  /** Notes that something was made, or could not be, and how long that took. */
  loaded(seconds: number, hasFailed: boolean): void;
}

/** How often who uses a space was served, and from what. */
export interface CacheCounts {
  hits: number;
  misses: number;
  /** Answered with something stale. */
  stale: number;
  /** Waited for somebody else's load instead of loading. */
  coalesced: number;
}

/** What to purge; everything named is purged. */
export interface PurgeOrder {
  readonly keys?: readonly string[];
  readonly tags?: readonly string[];
  /** Every key that begins with it. */
  readonly prefix?: string;
  readonly all?: boolean;
  /** Marks stale instead: usable as long as stale entries are. */
  readonly soft?: boolean;
  /** Only in these spaces; tags are common to all. Default: every space. */
  readonly spaces?: readonly string[];
}

export interface CacheQuery {
  readonly space?: string;
  readonly prefix: string;
  readonly limit: number;
  /** `nextCursor` of the page before. */
  readonly cursor?: string;
}

export interface CachePage {
  readonly items: readonly CacheListing[];
  readonly nextCursor: string | null;
}

export interface CacheListing extends Omit<CacheEntry, 'body' | 'meta' | 'memo'> {
  readonly space: string;
  /** Of the body. */
  readonly bytes: number;
}

export interface CacheStats {
  readonly driver: string;
  /** `down`: the backend does not answer and is left alone; memory goes on. */
  readonly backend: 'none' | 'up' | 'down';
  /** Everything within the bound, that of others who share it included. */
  readonly memory: { readonly entries: number; readonly bytes: number; readonly maxBytes: number };
  readonly spaces: readonly CacheSpaceStats[];
}

export interface CacheSpaceStats extends Readonly<CacheCounts> {
  readonly name: string;
  /** In memory. */
  readonly entries: number;
  readonly bytes: number;
  readonly evictions: number;
  /** Entries that were found, by where. */
  readonly memoryHits: number;
  readonly backendHits: number;
  readonly loads: number;
  readonly loadErrors: number;
  readonly loadSeconds: number;
}

/**
 * Where entries lie behind memory. Ids are `[a-z0-9:-]`, at most 120 characters. Methods may reject and may hang: the store gives
 * each a deadline and leaves a driver alone that does not keep it.
 */
export interface CacheBackend {
  /** The driver's name, for people. */
  readonly name: string;
  /** Removes entries by itself when their time is over. */
  readonly expires: boolean;
  /** How long it may well take to read; a request waits no longer. Default 50 ms. */
  readonly patienceMs?: number;
  get(id: string): Promise<Uint8Array | null>;
  /** @param ttlSeconds a hint; the store judges expiry itself. */
  set(id: string, frame: Uint8Array, ttlSeconds: number): Promise<void>;
  delete(id: string): Promise<void>;
  /** Ids that begin with `prefix`, which ends in a colon. */
  list(prefix: string): Promise<string[]>;
  close(): Promise<void>;
}

/** Times are in seconds, fractions allowed. */
export interface CacheOptions {
  /** How long the value is fresh. */
  readonly ttl: number;
  /** How long after that it is answered at once while it is made again behind the scenes. Default 0. */
  readonly swr?: number;
  /** How long after `ttl` it still serves when making it again fails. Default: `swr`. */
  readonly staleIfError?: number;
  /** `ttl` for null and undefined. Default: `ttl`, at most 10. */
  readonly negativeTtl?: number;
  /** What it is made from: `cache.purge({ tags })` ends every value that carries one of them. */
  readonly tags?: readonly string[];
  /** How long a caller waits for a new value while a stale one could be had. Default 0. */
  readonly softTimeout?: number;
  /** How long a caller waits at most. Default 30. */
  readonly hardTimeout?: number;
  /** `ttl` is shortened by up to this part of it, so that what was made together does not end together. Default 0.1. */
  readonly jitter?: number;
}

/** Makes a value. The signal says when nobody waits any more; what still comes is kept all the same. */
export type Load<T> = (context: { readonly signal: AbortSignal }) => T | Promise<T>;

/**
 * Values of functions, kept. What comes out is never what went in, but made from its bytes, at the first time as at every other.
 * Plain JSON is shared between callers and therefore frozen; values with a Date or bytes in them are made anew for each.
 */
export interface DataCache {
  /**
   * The value of a key: kept, or made by `load`, once for everybody who asks meanwhile.
   * @throws what `load` throws, when nothing stale can stand in; AppError `cache/load-timeout` after `hardTimeout`; TypeError when
   *   the value cannot be kept, for example a Map or an instance of a class.
   */
  get<T>(key: string, options: CacheOptions, load: Load<T>): Promise<T>;
  /** The value when it is kept and fresh. */
  find<T>(key: string): Promise<T | undefined>;
  /** Puts a value in place of what there is, on every machine. @returns whether it was kept. @throws TypeError as `get` does. */
  set(key: string, value: unknown, options: Pick<CacheOptions, 'ttl' | 'swr' | 'staleIfError' | 'tags'>): boolean;
  /** @returns whether there was one. */
  delete(key: string): Promise<boolean>;
  /** Keys and prefixes are those of this scope; tags are common to all. */
  purge(order: Omit<PurgeOrder, 'spaces'>): Promise<number | null>;
  /** A cache with keys of its own. */
  scope(name: string): DataCache;
}
