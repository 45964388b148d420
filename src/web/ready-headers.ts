import type { RatePolicy } from '../ports/rate-limiter.ts';
import { contextOf, findContext, type RequestContext } from './context.ts';
import { rateLimitText, ratePolicyText } from './rate-headers.ts';
import { setSecurityHeaders } from './security-headers.ts';

/**
 * Makes the headers of a JSON answer to a request, with all that the gate gives every answer: id, rate limit, security. One set
 * is kept for each policy and changed from request to request, so what is returned MUST be copied (by `new Response`) at once.
 *
 * To set them one by one on an answer that is there already costs three times as much: the answer's own headers have to be made
 * into an object first.
 */
export function createReadyHeaders(): (context: RequestContext) => ResponseInit {
  const kept = new Map<RatePolicy | null, { readonly headers: Headers }>();
  return ({ id, rate }) => {
    const policy = rate?.policy ?? null;
    let ready = kept.get(policy);
    if (!ready) {
      ready = { headers: new Headers({ 'content-type': 'application/json;charset=utf-8' }) };
      setSecurityHeaders(ready.headers);
      if (policy) ready.headers.set('ratelimit-policy', ratePolicyText(policy));
      kept.set(policy, ready);
    }
    ready.headers.set('x-request-id', id);
    if (rate) ready.headers.set('ratelimit', rateLimitText(rate.policy, rate.verdict));
    return ready;
  };
}

/** Answers 200 with a value as JSON; for frequent GETs, since the headers are ready-made. */
export function answerJson(request: Request, value: object): Response {
  const context = contextOf(request);
  const response = new Response(JSON.stringify(value), context.readyHeaders(context));
  context.readyAnswer = response;
  return response;
}

/** Status and headers of an answer that is given many times. */
export interface KeptAnswer extends ResponseInit {
  /** With the security headers that the answer is to have: the gate adds none. */
  readonly headers: Headers;
  /** The rate limit that its headers tell of. */
  policy: RatePolicy | null;
}

/**
 * Answers with kept headers, to which id and rate limit of this request are added first. For answers that are given more often than
 * their headers change.
 */
export function answerAgain(request: Request, body: BodyInit, kept: KeptAnswer): Response {
  const context = findContext(request);
  if (!context) return new Response(body, kept);
  const { headers } = kept;
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
