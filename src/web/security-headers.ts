const HSTS = 'max-age=31536000; includeSubDomains';

/**
 * How a browser should treat an answer that is not a page (OWASP ASVS 5.0 §3.4): it may load nothing, nobody may frame it, and it
 * is not kept.
 */
const API_HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

/** Adds what an answer does not say itself: a page's own policy and an answer's own word on caching are left as they are. */
export function setSecurityHeaders(headers: Headers): void {
  if (!headers.has('content-security-policy')) {
    headers.set('content-security-policy', API_HEADERS['content-security-policy']);
    headers.set('x-frame-options', API_HEADERS['x-frame-options']);
  }
  if (!headers.has('cache-control')) headers.set('cache-control', API_HEADERS['cache-control']);
  headers.set('x-content-type-options', API_HEADERS['x-content-type-options']);
  headers.set('referrer-policy', API_HEADERS['referrer-policy']);
}

/** Makes a browser use TLS from now on (RFC 6797). A policy of another program's own stands. */
export function setTransportSecurity(headers: Headers): void {
  if (!headers.has('strict-transport-security')) headers.set('strict-transport-security', HSTS);
}
