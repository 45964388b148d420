import type { PurgeOrder } from '../../ports/cache.ts';

/** What the cache's routes need of the HTTP cache, which knows what a URL means. */
export interface HttpCacheFace {
  /** Says what would happen to a request, and why, without changing anything. `url` is absolute or a path of this site. */
  explain(url: string, headers: Headers): Promise<Explanation>;
  /**
   * Drops the stored answers, in all their variants, of the URLs in `keys` and of those that begin with `prefix`; both are absolute or
   * paths of any host. Tags and `all` are purged by the store. @returns how many of `keys` had something stored, `null` when a prefix was given
   * or the purge is soft.
   */
  purge(order: Pick<PurgeOrder, 'keys' | 'prefix' | 'soft'>): Promise<number | null>;
  /** Asks for the URL as a client without conditions would. `false` when its answer was not stored. */
  warm(url: string): Promise<boolean>;
}

export interface Explanation {
  readonly url: string;
  /** The rule that covers it, for example `proxy /shop`; null when none does. */
  readonly rule: string | null;
  readonly mode: 'off' | 'respect' | 'force' | null;
  /** What it is stored under, with the secondary key of its variant. */
  readonly key: string | null;
  /** What a request would meet now. */
  readonly outcome: 'hit' | 'stale' | 'miss' | 'bypass';
  readonly isStorable: boolean;
  readonly freshness: {
    readonly lifetimeSeconds: number;
    readonly ageSeconds: number;
    /** Where the lifetime comes from: a header and directive, the rule, or `none`. */
    readonly source: string;
  } | null;
  /** What decided, in one sentence. */
  readonly reason: string;
  /** Everything that was looked at, in order. */
  readonly details: string[];
}
