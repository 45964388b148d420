import type { FetchOrigin, FoundOrigin, HttpCacheRule } from '../../ports/http-cache.ts';
import type { HttpCacheCore, SeenAnswer } from './http-cache.ts';
import type { Explanation } from './http-cache-face.ts';
import { ageOf, type HttpEntry } from './http-entry.ts';
import { initialAge } from './http-freshness.ts';
import { cacheKeyOf } from './http-key.ts';
import { judgeRequest, toFill } from './http-request.ts';
import { judgeReuse, reasonOf } from './http-reuse.ts';
import { judgeStoring, type StoreVerdict } from './http-storing.ts';

export interface ExplainOptions {
  readonly cache: HttpCacheCore;
  readonly originOf: (path: string) => Promise<FoundOrigin | null>;
  readonly publicUrl: () => string;
  readonly now: () => number;
}

const BYPASSES: Readonly<Record<string, string>> = {
  'rule-off': 'the rule turns the cache off',
  content: 'the request has content, which the key does not hold',
  precondition: 'the request has a condition that only the origin can judge',
  connection: 'the request takes fields of its own out by Connection, which the key does not know',
  'login-cookie': 'the request has a cookie by which applications know somebody',
};

/** Tells what would happen to a GET, and why. Stores and changes nothing; asks the origin only where nothing is stored and nothing was seen. */
export function createExplain({ cache, originOf, publicUrl, now }: ExplainOptions) {
  return async (given: string, headers: Headers): Promise<Explanation> => {
    const url = URL.parse(given, publicUrl());
    const nothing = { url: url?.href ?? given, rule: null, mode: null, key: null, isStorable: false, freshness: null };
    const key = url && cacheKeyOf(url.href, url.protocol === 'https:');
    const seen = key === null ? null : cache.lastSeen(key);
    const origin = url && (await originOf(url.pathname));
    const rule = origin?.rule ?? seen?.rule;
    if (key === null || !rule) {
      const reason = url ? 'nothing that is cached has answered at this address' : 'this is no URL';
      return { ...nothing, outcome: 'bypass', reason, details: [reason] };
    }
    const request = new Request(key, { headers });
    const about = { ...nothing, rule: rule.name, mode: rule.mode, key };
    const details = [`rule: ${rule.name}, ${describeRule(rule)}`, `key: ${key}`];

    const bypass = judgeRequest(request, rule);
    if (bypass) {
      const reason = BYPASSES[bypass.detail] ?? bypass.detail;
      return { ...about, outcome: 'bypass', reason, details: [...details, reason] };
    }
    const found = await cache.store.find(key, request.headers);
    if (found.entry) return explainStored(about, found.entry, details);
    details.push(found.reason === 'vary-miss' ? 'stored: other variants only' : 'stored: nothing');
    if (seen || !origin) return explainSeen(about, seen, details);
    const asked = await askOrigin(request, rule, origin.fetchOrigin);
    if (typeof asked === 'string') {
      return { ...about, outcome: 'miss', reason: asked, details: [...details, asked] };
    }
    const { verdict, freshness, status } = asked;
    details.push(`the origin answers ${status}`, verdict.reason);
    if (verdict.isStorable) details.push(`vary: ${verdict.vary.join(', ') || 'nothing'}`);
    const isStorable = verdict.isStorable;
    return { ...about, outcome: 'miss', isStorable, freshness, reason: verdict.reason, details };
  };

  function explainStored(
    about: Omit<Explanation, 'outcome' | 'reason' | 'details'>,
    entry: HttpEntry,
    details: string[],
  ): Explanation {
    const verdict = judgeReuse(entry, now());
    const { use, ttl } = verdict;
    const reason = reasonOf(entry, verdict);
    const { lifetime, vary, staleness, status } = entry.meta;
    details.push(
      `stored: ${status}, ${entry.body.byteLength} bytes, ${use}`,
      `vary: ${vary.join(', ') || 'nothing'}`,
      `fresh for ${Math.floor(ttl)} s`,
      `stale: ${staleness.whileRevalidate} s while it is renewed, ${staleness.ifError} s when the origin fails, ` +
        `${staleness.ifUnreachable} s when it cannot be reached`,
      reason,
    );
    const ageSeconds = Math.floor(ageOf(entry.meta, now()));
    return {
      ...about,
      key: entry.key,
      outcome: use === 'fresh' ? 'hit' : 'stale',
      isStorable: true,
      freshness: { lifetimeSeconds: lifetime.seconds, ageSeconds, source: lifetime.source },
      reason,
      details,
    };
  }

  /** By the latest answer that passed through here. */
  function explainSeen(
    about: Omit<Explanation, 'outcome' | 'reason' | 'details'>,
    seen: SeenAnswer | null,
    details: string[],
  ): Explanation {
    if (!seen) return { ...about, outcome: 'miss', reason: 'nothing was seen of it yet', details };
    const { status, isStorable, reason, lifetime } = seen;
    const freshness = lifetime && { lifetimeSeconds: lifetime.seconds, ageSeconds: 0, source: lifetime.source };
    details.push(`last seen: ${status}`, reason);
    return { ...about, outcome: 'miss', isStorable, freshness, reason, details };
  }

  /** What the origin's answer would be judged to be; a text when there is none. */
  async function askOrigin(request: Request, rule: HttpCacheRule, fetchOrigin: FetchOrigin) {
    const requestedAt = now();
    let response: Response;
    try {
      response = await fetchOrigin(toFill(request, null));
    } catch {
      return 'the origin cannot be reached';
    }
    response.body?.cancel().catch(() => undefined);
    const { status, headers } = response;
    const receivedAt = now();
    const isAuthorized = request.headers.has('authorization');
    const verdict: StoreVerdict = judgeStoring({ rule, isAuthorized, status, headers, receivedAt });
    const freshness = verdict.isStorable
      ? {
          lifetimeSeconds: verdict.lifetime.seconds,
          ageSeconds: Math.floor(initialAge(headers, requestedAt, receivedAt)),
          source: verdict.lifetime.source,
        }
      : null;
    return { verdict, freshness, status };
  }
}

function describeRule({ mode, ttlSeconds }: HttpCacheRule): string {
  return mode === 'force' ? `force(${ttlSeconds ?? 0})` : mode;
}
