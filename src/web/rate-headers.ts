import type { RatePolicy, RateVerdict } from '../ports/rate-limiter.ts';

/** Sets `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10 §3, §4); keeps the texts of the policies. */
export function createRateHeaders(): (headers: Headers, policy: RatePolicy, verdict: RateVerdict) => void {
  const texts = new Map<RatePolicy, { readonly policy: string; readonly limit: string }>();
  return (headers, policy, { remaining, resetSeconds }) => {
    let text = texts.get(policy);
    if (!text) {
      const { name, count, windowSeconds } = policy;
      text = { policy: `"${name}";q=${count};w=${windowSeconds}`, limit: `"${name}";r=` };
      texts.set(policy, text);
    }
    headers.set('ratelimit-policy', text.policy);
    headers.set('ratelimit', `${text.limit}${remaining};t=${resetSeconds}`);
  };
}
