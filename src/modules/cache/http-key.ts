import { AddressMap } from '../../kernel/address-map.ts';

/** URLs that the runtime hands on as they will be sent: nothing in them is resolved or re-encoded on the way. */
const IS_PLAIN = /^https?:\/\/[a-z0-9.:[\]_-]+\/[!$-[\]-~"]*$/;
const HAS_DOTS = /\/(?:\.|%2e){1,2}(?:[/?]|$)/i;

/**
 * The cache key of a request: scheme, authority, path and query as the origin will be asked for them. The query is kept as sent; a
 * bare `?` and `%2F` are part of it, for an origin may tell them apart.
 *
 * @param isSecure whether the client came by TLS, which a proxy before us may have ended.
 */
export function cacheKeyOf(url: string, isSecure: boolean): string {
  const plain = IS_PLAIN.test(url) && !HAS_DOTS.test(url) ? url : new URL(url).href.replace(/#.*$/s, '');
  return (isSecure ? 'https' : 'http') + plain.slice(plain.indexOf('://'));
}

/** Keys that were made lately: reading a URL takes longer than finding it. */
const MAX_REMEMBERED = 1_000;

/** {@link cacheKeyOf} for many requests of few URLs. */
export function createCacheKeys(): typeof cacheKeyOf {
  const plain = new AddressMap<string>(MAX_REMEMBERED);
  const secure = new AddressMap<string>(MAX_REMEMBERED);
  return (url, isSecure) => {
    const known = isSecure ? secure : plain;
    let key = known.get(url);
    if (key === undefined) {
      key = cacheKeyOf(url, isSecure);
      known.set(url, key);
    }
    return key;
  };
}
