import type { RatePolicy } from '../ports/rate-limiter.ts';
import { findContext } from './context.ts';
import { rateLimitText, ratePolicyText } from './rate-headers.ts';

/** Status and headers of an answer that is given many times. */
export interface KeptAnswer extends ResponseInit {
  /** With the security headers that the answer is to have: the gate adds none. */
  readonly headers: Headers;
  /** The rate limit that its headers tell of. */
  policy: RatePolicy | null;
}

/** What the kept headers have of whoever was answered last. */
const PERSONAL = ['x-request-id', 'ratelimit', 'ratelimit-policy'];

/**
 * Answers with kept headers, to which id and rate limit of this request are added first. For answers that are given more often than
 * their headers change. A request of our own gets neither.
 */
export function answerAgain(request: Request, body: BodyInit, kept: KeptAnswer): Response {
  const context = findContext(request);
  const { headers } = kept;
  if (!context) {
    const response = new Response(body, kept);
    for (const name of PERSONAL) response.headers.delete(name);
    return response;
  }
  const { id, rate } = context;
  headers.set('x-request-id', id);
  if (rate) headers.set('ratelimit', rateLimitText(rate.policy, rate.verdict));
  const policy = rate?.policy ?? null;
  if (kept.policy !== policy) {
    if (policy) headers.set('ratelimit-policy', ratePolicyText(policy));
    else for (const name of ['ratelimit', 'ratelimit-policy']) headers.delete(name);
    kept.policy = policy;
  }
  const response = new Response(body, kept);
  context.readyAnswer = response;
  return response;
}
