import type { HttpCacheRule } from '../../ports/http-cache.ts';
import { dropHopByHop } from '../../web/forwarding.ts';
import { parseHttpDate } from '../../web/http-date.ts';
import { parseCacheControl } from './http-cache-control.ts';
import type { HttpEntry } from './http-entry.ts';
import { dropPoison } from './http-headers.ts';
import type { Forward } from './http-status.ts';
import { normalizeEncodings } from './http-vary.ts';

/** Why a request goes past the store, in words of `Cache-Status`. */
export interface Bypass {
  readonly forward: Forward;
  readonly detail: string;
}

/**
 * Names of cookies by which common applications know somebody: PHP and frameworks (`PHPSESSID`, `laravel_session`, `connect.sid`),
 * WordPress, DokuWiki, whatever speaks of login or token. Who sends one gets an answer of his own.
 */
const LOGIN_COOKIE =
  /sess|auth|login|logged|token|jwt|^connect\.sid$|^wp-postpass|^comment_author|^dokuwiki|^dw[0-9a-f]{8}|^__host-bunkhouse$/;

/** Whether a GET or HEAD may be answered from the store at all. */
export function judgeRequest({ method, headers }: Request, rule: HttpCacheRule): Bypass | null {
  if (method !== 'GET' && method !== 'HEAD') return { forward: 'method', detail: 'method' };
  if (rule.mode === 'off') return { forward: 'bypass', detail: 'rule-off' };
  // A GET whose content means something to the origin would be answered from a key that knows nothing of it.
  if (headers.has('transfer-encoding') || (headers.get('content-length') ?? '0') !== '0') {
    return { forward: 'request', detail: 'content' };
  }
  if (headers.has('if-match') || headers.has('if-unmodified-since'))
    return { forward: 'request', detail: 'precondition' };
  const connection = headers.get('connection');
  if (connection !== null && !isOfConnection(connection)) return { forward: 'request', detail: 'connection' };
  const cookie = headers.get('cookie');
  if (cookie !== null && namesLogin(cookie)) return { forward: 'bypass', detail: 'login-cookie' };
  return null;
}

/**
 * Whether `Connection` lists nothing but what says nothing of the answer. Any other field that it lists would be in the key or the
 * variant, and not in the request that fills them.
 */
function isOfConnection(field: string): boolean {
  return field.split(',').every((item) => OF_CONNECTION.has(item.trim().toLowerCase()));
}

const OF_CONNECTION = new Set(['', 'close', 'keep-alive', 'te', 'upgrade', 'http2-settings']);

function namesLogin(cookie: string): boolean {
  return cookie.split(';').some((pair) => LOGIN_COOKIE.test((pair.split('=', 1)[0] ?? '').trim().toLowerCase()));
}

/** A client that would rather have nothing than wait for the origin (RFC 9111 §5.2.1.7). */
export function wantsStoredOnly({ headers }: Request): boolean {
  const field = headers.get('cache-control');
  return field?.includes('only-if-cached') === true && parseCacheControl(field).has('only-if-cached');
}

/**
 * The request that fills the store: whole, unconditional but for the validators of what is stored (RFC 9111 §4.3.1), without what
 * could make the origin answer something that the key does not hold.
 */
export function toFill(request: Request, stored: HttpEntry | null): Request {
  const headers = new Headers(request.headers);
  dropHopByHop(headers);
  dropPoison(headers);
  for (const name of ['if-none-match', 'if-modified-since', 'if-range', 'range']) headers.delete(name);
  const encodings = headers.get('accept-encoding');
  if (encodings !== null) headers.set('accept-encoding', normalizeEncodings(encodings) || 'identity');
  if (stored) {
    const { etag, 'last-modified': lastModified } = stored.meta.headers;
    if (etag !== undefined) headers.set('if-none-match', etag);
    if (lastModified !== undefined && parseHttpDate(lastModified) !== null)
      headers.set('if-modified-since', lastModified);
  }
  return new Request(request.url, { method: 'GET', headers });
}
