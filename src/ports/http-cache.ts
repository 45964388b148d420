/**
 * The shared HTTP cache (RFC 9111) as those see it who answer for a program of their own: an upstream, PHP, a plugin. Nothing is
 * stored of what the rules of HTTP, or the rule given here, say is not to be shared.
 */
export interface HttpCache {
  /**
   * Answers from the store, or asks the origin and keeps what may be kept. Many requests for one answer that is missing ask once.
   * Methods other than GET and HEAD go through, and a success of theirs drops what is stored for the URL.
   *
   * @param fetchOrigin asks the origin. The request that it gets may be conditional where the client's was not, and may have lost
   *   its conditions; its headers are otherwise the client's, its body is untouched. Its signal tells when nobody waits any more.
   *   It is called at most once for a call of `handle`, but may be called after the answer was given, to renew what is stored.
   *   MUST reject when the origin cannot be reached: a stored answer may then stand in. The answer's body MUST be as the origin
   *   encoded it. The answer is the cache's from then on, which may change its headers.
   * @throws what `fetchOrigin` rejects with, when nothing stored may stand in.
   */
  handle(request: Request, rule: HttpCacheRule, fetchOrigin: FetchOrigin): Response | Promise<Response>;
}

export type FetchOrigin = (request: Request) => Promise<Response>;

/** How the cache treats one part of the site. */
export interface HttpCacheRule {
  /** Named by `explain`: `php`, `proxy /shop`. */
  readonly name: string;
  /** `respect`: as the origin says (RFC 9111), without guessing lifetimes. `force`: for `ttlSeconds` whatever the origin says of lifetime. */
  readonly mode: 'off' | 'respect' | 'force';
  /** Freshness lifetime of `force`. */
  readonly ttlSeconds?: number;
}

/** A part of the site that answers through the cache, for those who ask about it instead of asking it: `explain` and warming up. */
export interface HttpOrigin {
  /** `null` when the path is another's. The request given to `fetchOrigin` needs not have come through the gate. */
  find(path: string): FoundOrigin | null | Promise<FoundOrigin | null>;
}

export interface FoundOrigin {
  readonly rule: HttpCacheRule;
  readonly fetchOrigin: FetchOrigin;
}
