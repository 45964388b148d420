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
const NOT_FOR_CLIENTS = ['x-accel-expires', 'surrogate-key', 'xkey', 'cache-tags'];
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

  /** What is to be remembered of an answer, and not to be said to clients. */
  const finish = (response: Response, url: string, isPlain: boolean, isHopeless: boolean): Response => {
    const { headers } = response;
    const isHinted = isPlain && HINTS.some((name) => headers.has(name));
    if (isHinted && isHopeless) hopeless.delete(url);
    else if (isPlain && !isHinted && !isHopeless) hopeless.set(url, true);
    for (const name of NOT_FOR_CLIENTS) if (headers.has(name)) headers.delete(name);
    return response;
  };

  return (request: Request, path: string, caller: Caller | null, ask: FetchOrigin): Response | Promise<Response> => {
    const named = ruleFor(path, 'php');
    const isPlain = named.mode === 'respect';
    const { url, method } = request;
    const isHopeless = isPlain && hopeless.get(url) === true;
    const rule = caller ? PERSONAL : isHopeless ? HOPELESS : named;
    // What is only read and not stored has no business with the store; what may change something makes it forget.
    if (rule !== named && (method === 'GET' || method === 'HEAD')) {
      return ask(request).then((response) => {
        // As the cache would say (RFC 9211).
        response.headers.set('cache-status', `bunkhouse; fwd=bypass; fwd-status=${response.status}`);
        return finish(response, url, isPlain, isHopeless);
      });
    }
    const answered = cache.handle(request, rule, ask);
    // What is there at once is from the store: it is as clients may see it, and nothing is to be learnt from it.
    if (!(answered instanceof Promise)) return answered;
    return answered.then((response) => finish(response, url, isPlain, isHopeless));
  };
}
