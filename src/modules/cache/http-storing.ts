import type { HttpCacheRule } from '../../ports/http-cache.ts';
import { deltaSeconds } from './http-cache-control.ts';
import type { Staleness } from './http-entry.ts';
import { hasExplicitLifetime, type Lifetime, lifetimeOf } from './http-freshness.ts';
import { type CacheControl, cacheControlOf } from './http-targeted-control.ts';
import { varyOf } from './http-vary.ts';

/** Whether an answer may be kept; the reason is made for people. */
export type StoreVerdict =
  | { readonly isStorable: false; readonly reason: string }
  | {
      readonly isStorable: true;
      readonly reason: string;
      readonly lifetime: Lifetime;
      readonly staleness: Staleness;
      /** Lower-case names, sorted. */
      readonly vary: readonly string[];
    };

interface Fields {
  get(name: string): string | null;
}

export interface StoreQuestion {
  readonly rule: HttpCacheRule;
  readonly isAuthorized: boolean;
  readonly status: number;
  readonly headers: Fields;
  readonly receivedAt: number;
}

/**
 * How long an answer stands in when the origin is unreachable and the answer says nothing of it: being cut off from the origin
 * permits stale answers (RFC 9111 §4.2.4), and a page of an hour ago is better than none.
 */
export const UNREACHABLE_GRACE_SECONDS = 3600;
/** Stale answers of `force` may be shown for so long while they are renewed: its TTL is the operator's word, not the origin's. */
const FORCE_GRACE_SECONDS = 30;

/** Statuses whose meaning for caches is known here: what `must-understand` asks for (RFC 9111 §5.2.2.3). */
const UNDERSTOOD = new Set([
  200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 404, 405, 410, 414, 421, 451, 500, 501, 502, 503, 504,
]);
/** 206 is a part, 304 confirms something else; neither is an answer that can be given again by itself. */
const NEVER = new Set([206, 304]);
/** What `force` keeps: successes, and what RFC 9110 §15.1 calls heuristically cacheable, without failures of the server. */
const FORCED = new Set([200, 203, 204, 300, 301, 308, 404, 410]);

const no = (reason: string): StoreVerdict => ({ isStorable: false, reason });

/** RFC 9111 §3 for a shared cache, with what is never shared whatever the answer says: `Set-Cookie`, and answers made for one person. */
export function judgeStoring({ rule, isAuthorized, status, headers, receivedAt }: StoreQuestion): StoreVerdict {
  if (rule.mode === 'off') return no('the rule turns the cache off');
  if (status < 200 || NEVER.has(status)) return no(`status ${status} is not stored`);
  if (headers.get('set-cookie') !== null) return no('set-cookie makes it one person’s answer');
  const control = cacheControlOf(headers);
  const { directives, field } = control;
  const isUnderstood = directives.has('must-understand');
  if (isUnderstood && !UNDERSTOOD.has(status)) return no(`must-understand, and status ${status} is not understood`);
  // RFC 9111 §5.2.2.3: with must-understand, who understands the status ignores no-store.
  if (directives.has('no-store') && !isUnderstood) return no(`${field} no-store`);
  if (directives.has('private')) return no(`${field} private`);
  if (typeof directives.get('no-cache') === 'string') return no(`${field} no-cache names fields`);
  if (isAuthorized && !mayShareAuthorized(control)) {
    // RFC 9111 §3.5
    return no('the request carried authorization, and the answer does not say that it may be shared');
  }
  const vary = varyOf(headers.get('vary'));
  if ('refused' in vary) return no(vary.refused);

  if (rule.mode === 'force') {
    if (!FORCED.has(status)) return no(`status ${status} is not stored by force`);
    const lifetime = { seconds: rule.ttlSeconds ?? 0, source: 'rule' };
    const grace = { whileRevalidate: FORCE_GRACE_SECONDS, ifError: UNREACHABLE_GRACE_SECONDS };
    const staleness = { ...grace, ifUnreachable: UNREACHABLE_GRACE_SECONDS, isAlwaysRevalidated: false };
    return { isStorable: true, reason: `the rule forces ${lifetime.seconds} s`, lifetime, staleness, vary: vary.names };
  }

  const isTargeted = field !== 'cache-control';
  const lifetime = lifetimeOf(headers, { directives, isTargeted, field }, receivedAt);
  const staleness = stalenessOf(control);
  const isExplicit = hasExplicitLifetime(headers, directives, isTargeted);
  const hasValidator = headers.get('etag') !== null || headers.get('last-modified') !== null;
  // Without a lifetime it could only be asked about again, which takes a validator; so could one that is stale at once.
  const isUseful = lifetime.seconds > 0 || hasValidator || staleness.whileRevalidate > 0 || staleness.ifError > 0;
  if (!isUseful)
    return no(isExplicit ? `${lifetime.source} says it is stale at once` : 'nothing says how long it is fresh');
  if (!isExplicit && !UNDERSTOOD.has(status)) return no(`nothing says how long status ${status} is fresh`);
  const reason =
    lifetime.source === 'none' ? 'kept to be asked about again' : `${lifetime.source} says ${lifetime.seconds} s`;
  return { isStorable: true, reason, lifetime, staleness, vary: vary.names };
}

/** Directives by which an answer to an authenticated request may be shared (RFC 9111 §3.5). */
export function mayShareAuthorized({ directives }: CacheControl): boolean {
  return directives.has('public') || directives.has('s-maxage') || directives.has('must-revalidate');
}

/** What the answer allows after its freshness. `s-maxage` implies `proxy-revalidate` (RFC 9111 §5.2.2.10). */
function stalenessOf({ directives }: CacheControl): Staleness {
  const isAlwaysRevalidated = directives.has('no-cache');
  const mustRevalidate =
    isAlwaysRevalidated ||
    directives.has('must-revalidate') ||
    directives.has('proxy-revalidate') ||
    directives.has('s-maxage');
  if (mustRevalidate) return { whileRevalidate: 0, ifError: 0, ifUnreachable: 0, isAlwaysRevalidated };
  const ifError = deltaSeconds(directives, 'stale-if-error');
  return {
    whileRevalidate: deltaSeconds(directives, 'stale-while-revalidate') ?? 0,
    ifError: ifError ?? 0,
    ifUnreachable: ifError ?? UNREACHABLE_GRACE_SECONDS,
    isAlwaysRevalidated,
  };
}
