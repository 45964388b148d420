import { AddressMap } from '../../kernel/address-map.ts';
import type { Caller } from '../../kernel/caller.ts';
import type { FetchOrigin, HttpCache, HttpCacheRule } from '../../ports/http-cache.ts';

export interface CachedOptions {
  readonly cache: HttpCache;
  /** The cache's rule of the settings for a path. */
  readonly ruleFor: (path: string, name: string) => HttpCacheRule;
}

/** For those who are signed in with us: a script may answer everybody whom it knows differently. */
const PERSONAL: HttpCacheRule = { name: 'php, signed in', mode: 'off' };
/** For addresses whose last answer gave the cache nothing to go by; looking it up each time would cost more than it brings. */
const HOPELESS: HttpCacheRule = { name: 'php, without freshness or validators', mode: 'off' };
const REMEMBERED = 2_000;
/** Words to the cache. */
const NOT_FOR_CLIENTS = ['x-accel-expires', 'surrogate-key', 'xkey', 'cache-tags', 'cache-tag'];
/** Any of them may make an answer storable. */
const HINTS = [
  'cache-control',
  'expires',
  'x-accel-expires',
  'cdn-cache-control',
  'surrogate-control',
  'etag',
  'last-modified',
];

/** Sends scripts' answers through the HTTP cache. */
export function createCached({ cache, ruleFor }: CachedOptions) {
  const hopeless = new AddressMap<true>(REMEMBERED);

  return async (request: Request, path: string, caller: Caller | null, ask: FetchOrigin): Promise<Response> => {
    const named = ruleFor(path, 'php');
    const isPlain = named.mode === 'respect';
    const rule = caller ? PERSONAL : isPlain && hopeless.get(request.url) ? HOPELESS : named;
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    // What is only read and not stored has no business with the store; what may change something makes it forget.
    const isPast = rule !== named && isRead;
    const response = await (isPast ? askAlone(request, ask) : cache.handle(request, rule, ask));
    if (isPlain) {
      if (HINTS.some((name) => response.headers.has(name))) hopeless.delete(request.url);
      else hopeless.set(request.url, true);
    }
    for (const name of NOT_FOR_CLIENTS) if (response.headers.has(name)) response.headers.delete(name);
    return response;
  };
}

/** Past the store, and says so as the cache would (RFC 9211). */
async function askAlone(request: Request, ask: FetchOrigin): Promise<Response> {
  const response = await ask(request);
  response.headers.set('cache-status', `bunkhouse; fwd=bypass; fwd-status=${response.status}`);
  return response;
}
