import type { HttpCacheRule } from '../../ports/http-cache.ts';

/** A rule of the settings, for paths below a prefix (without its slash at the end). */
export interface HttpRuleSetting extends Pick<HttpCacheRule, 'mode' | 'ttlSeconds'> {
  readonly prefix: string;
}

/**
 * The rule for a path: that of the longest prefix in the settings, else `respect`. A prefix ends at a slash.
 *
 * @param name of the part of the site that asks, for people.
 */
export function createHttpRules(settings: readonly HttpRuleSetting[]) {
  const longestFirst = [...settings].sort((a, b) => b.prefix.length - a.prefix.length);
  const made = new Map<string, HttpCacheRule>();
  return (path: string, name: string): HttpCacheRule => {
    const setting = longestFirst.find(
      ({ prefix }) => path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/'),
    );
    const full = setting ? `${name}, CACHE_RULES ${setting.prefix || '/'}` : name;
    const known = made.get(full);
    if (known) return known;
    const rule: HttpCacheRule = setting ? { name: full, ...withoutPrefix(setting) } : { name: full, mode: 'respect' };
    made.set(full, rule);
    return rule;
  };
}

function withoutPrefix({ mode, ttlSeconds }: HttpRuleSetting): Pick<HttpCacheRule, 'mode' | 'ttlSeconds'> {
  return ttlSeconds === undefined ? { mode } : { mode, ttlSeconds };
}
