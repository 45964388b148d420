import type { RatePolicy, RateVerdict } from '../ports/rate-limiter.ts';

/** Sets `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10 §3, §4). */
export function setRateHeaders(
  headers: Headers,
  { name, count, windowSeconds }: RatePolicy,
  verdict: RateVerdict,
): void {
  headers.set('ratelimit-policy', `"${name}";q=${count};w=${windowSeconds}`);
  headers.set('ratelimit', `"${name}";r=${verdict.remaining};t=${verdict.resetSeconds}`);
}
