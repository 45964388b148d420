import type { RatePolicy, RateVerdict } from '../ports/rate-limiter.ts';

/** `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10 §3). */
export function ratePolicyText({ name, count, windowSeconds }: RatePolicy): string {
  return `"${name}";q=${count};w=${windowSeconds}`;
}

/** `RateLimit` (the same, §4). */
export function rateLimitText({ name }: RatePolicy, { remaining, resetSeconds }: RateVerdict): string {
  return `"${name}";r=${remaining};t=${resetSeconds}`;
}
