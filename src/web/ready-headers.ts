import type { RatePolicy } from '../ports/rate-limiter.ts';
import { findContext } from './context.ts';
import { rateLimitText, ratePolicyText } from './rate-headers.ts';
import { setSecurityHeaders } from './security-headers.ts';

/** Status and headers of an answer that is given many times. Made by {@link keepAnswer}. */
export interface KeptAnswer {
  /** An answer without content: the runtime copies the head of a `Response` at once, and reads an object's members one by one. */
  readonly head: Response;
  /** The rate limit that its headers tell of. */
  policy: RatePolicy | null;
}

/** @param init with the security headers that the answer is to have: the gate adds none. */
export function keepAnswer(init: ResponseInit): KeptAnswer {
  return { head: new Response(null, init), policy: null };
}

/** What the kept headers have of whoever was answered last. */
const PERSONAL = ['x-request-id', 'ratelimit', 'ratelimit-policy'];

/**
 * Answers with kept headers, to which id and rate limit of this request are added first. For answers that are given more often than
 * their headers change. A request of our own gets neither.
 */
export function answerAgain(request: Request, body: BodyInit, kept: KeptAnswer): Response {
  const context = findContext(request);
  const { head } = kept;
  if (!context) {
    const response = new Response(body, head);
    for (const name of PERSONAL) response.headers.delete(name);
    return response;
  }
  const { headers } = head;
  const { id, rate } = context;
  headers.set('x-request-id', id);
  if (rate) headers.set('ratelimit', rateLimitText(rate.policy, rate.verdict));
  const policy = rate?.policy ?? null;
  if (kept.policy !== policy) {
    if (policy) headers.set('ratelimit-policy', ratePolicyText(policy));
    else for (const name of ['ratelimit', 'ratelimit-policy']) headers.delete(name);
    kept.policy = policy;
  }
  const response = new Response(body, head);
  context.readyAnswer = response;
  return response;
}

/** Makes answers of status 200 with a value as JSON, all with the same kept headers. For frequent GETs. */
export function createJsonAnswers(): (request: Request, value: object) => Response {
  const headers = new Headers({ 'content-type': 'application/json;charset=utf-8' });
  setSecurityHeaders(headers);
  const kept = keepAnswer({ headers });
  return (request, value) => answerAgain(request, JSON.stringify(value), kept);
}
