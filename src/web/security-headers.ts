/** What an answer that is not a page may load: nothing; and nobody may frame it. */
const API_CSP = "default-src 'none'; frame-ancestors 'none'";
const HSTS = 'max-age=31536000; includeSubDomains';

/**
 * Headers that make a browser treat our answers narrowly (OWASP ASVS 5.0 §3.4). A page's own policy is left as it is; answers
 * that say nothing about caching are not kept.
 */
export function setSecurityHeaders(headers: Headers, withHsts: boolean): void {
  if (!headers.has('content-security-policy')) {
    headers.set('content-security-policy', API_CSP);
    headers.set('x-frame-options', 'DENY');
  }
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
  headers.set('x-content-type-options', 'nosniff');
  headers.set('referrer-policy', 'no-referrer');
  if (withHsts) headers.set('strict-transport-security', HSTS);
}

/** What is said of the connection alone, for answers that are not ours. A policy of their own stands. */
export function setTransportSecurity(headers: Headers, withHsts: boolean): void {
  if (withHsts && !headers.has('strict-transport-security')) headers.set('strict-transport-security', HSTS);
}
