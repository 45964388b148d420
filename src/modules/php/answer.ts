import type { PhpAnswer } from '../../ports/php-pool.ts';

/**
 * What of a script's head is for nobody but us: what belongs to one connection (RFC 9110 §7.6.1), its idea of a length, which may be
 * wrong and would let what follows be taken for another answer, and the version of PHP.
 */
const HELD_BACK = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'x-powered-by',
  'x-accel-redirect',
  'x-accel-buffering',
  'x-accel-limit-rate',
  'x-accel-charset',
  // A word to caches of others; ours has its own.
  'cache-tag',
  'x-sendfile',
]);
const WITHOUT_BODY = new Set([204, 205, 304]);

/** Whether the script's content is part of the answer (RFC 9110 §6.4.1). */
export function hasContent({ status }: PhpAnswer, method: string): boolean {
  return method !== 'HEAD' && !WITHOUT_BODY.has(status);
}

/** Turns a script's answer into ours. The body streams as the script writes it. */
export function toResponse(answer: PhpAnswer, method: string): Response {
  const { status, headers, body } = answer;
  const kept = toHeaders(headers);
  if (!hasContent(answer, method)) {
    discard(body);
    // Nothing follows that a wrong one could cut, and a download may tell its size by it.
    const length = method === 'HEAD' ? findHeader(answer, 'content-length') : null;
    if (length !== null && /^\d{1,15}$/.test(length)) kept.set('content-length', length);
    return new Response(null, { status, headers: kept });
  }
  return new Response(body, { status, headers: kept });
}

/** The headers that a client may see, each as often as the script sent it. */
export function toHeaders(headers: PhpAnswer['headers']): Headers {
  const kept = new Headers();
  for (const [name, value] of headers) if (!HELD_BACK.has(name)) kept.append(name, value);
  return kept;
}

export function findHeader({ headers }: PhpAnswer, name: string): string | null {
  return headers.find(([each]) => each === name)?.[1] ?? null;
}

/** Gives the child free. */
export function discard(body: PhpAnswer['body']): void {
  if (body instanceof ReadableStream) body.cancel().catch(() => undefined);
}
