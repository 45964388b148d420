import { isLoopback } from '../../kernel/loopback.ts';
import type { PurgeOrder } from '../../ports/cache.ts';
import type { HttpOrigin } from '../../ports/http-cache.ts';
import type { HttpCacheCore } from './http-cache.ts';
import type { HttpCacheFace } from './http-cache-face.ts';
import { createExplain } from './http-explain.ts';
import { cacheKeyOf } from './http-key.ts';

export interface HttpOperationsOptions {
  readonly cache: HttpCacheCore;
  readonly purge: (order: PurgeOrder) => Promise<number | null>;
  /** The parts of the site that answer through the cache, in the order in which they are asked. */
  readonly origins: () => readonly HttpOrigin[];
  /** `https://example.org`: what a path belongs to. */
  readonly publicUrl: () => string;
  readonly isHostAllowed: (host: string) => boolean;
  readonly now: () => number;
}

const SPACES = ['http'];

/** What people do to stored answers: ask about them, drop them, have them fetched before they are asked for. */
export function createHttpOperations(options: HttpOperationsOptions): HttpCacheFace {
  const { cache, purge, publicUrl, isHostAllowed } = options;
  const originOf = async (path: string) => {
    for (const origin of options.origins()) {
      const found = await origin.find(path);
      if (found) return found;
    }
    return null;
  };

  return {
    explain: createExplain({ cache, originOf, publicUrl, now: options.now }),

    async purge({ keys = [], prefix, soft = false }) {
      let had = 0;
      const found: string[] = [];
      for (const key of keys) {
        const lists = await Promise.all(spellings(key).map((url) => cache.store.keysOf(url)));
        if (lists.some((list) => list.length > 0)) had++;
        // Also what is not there yet: an answer on its way is kept out.
        found.push(...spellings(key), ...lists.flat());
      }
      if (found.length > 0) await purge({ keys: [...new Set(found)], soft, spaces: SPACES });
      if (prefix === undefined) return soft ? null : had;
      for (const each of spellings(prefix)) await purge({ prefix: each, soft, spaces: SPACES });
      return null;
    },

    async warm(given) {
      const url = URL.parse(given, publicUrl());
      if (!url || !/^https?:$/.test(url.protocol) || !isHostAllowed(url.host)) return false;
      const origin = await originOf(url.pathname);
      if (!origin) return false;
      const key = cacheKeyOf(url.href, url.protocol === 'https:');
      const request = new Request(key, { headers: { accept: '*/*' } });
      const response = await cache.answer(request, key, origin.rule, origin.fetchOrigin);
      for await (const _chunk of response.body ?? []);
      await cache.settled(key);
      return (await cache.store.find(key, request.headers)).entry !== null;
    },
  };

  /**
   * The keys that a URL or a path may have: both schemes, because who purges may come by another than clients do, and every host that
   * something was stored for when only a path, or this machine itself, is named.
   */
  function spellings(urlOrPath: string): string[] {
    const base = publicUrl();
    const isPath = urlOrPath.startsWith('/');
    const url = URL.parse(urlOrPath, base);
    if (!url) return [];
    const end = url.href.indexOf('/', url.href.indexOf('://') + 3);
    const rest = url.href.slice(end).replace(/#.*$/s, '');
    const hosts = new Set([url.host]);
    if (isPath || isLoopback(url.hostname)) {
      hosts.add(new URL(base).host);
      for (const origin of cache.store.origins()) hosts.add(origin.slice(origin.indexOf('://') + 3));
    }
    return [...hosts].flatMap((host) => [`http://${host}${rest}`, `https://${host}${rest}`]);
  }
}
