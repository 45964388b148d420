/** Methods that change nothing (RFC 9110 §9.2.1). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * Cache keys that an answer makes out of date: the URL of an unsafe request that succeeded, and what the answer names in `Location`
 * and `Content-Location` on the same origin (RFC 9111 §4.4). URLs of other origins are not for it to speak of.
 */
export function invalidatedBy(method: string, response: { status: number; headers: Headers }, url: string): string[] {
  if (SAFE.has(method) || response.status < 200 || response.status >= 400) return [];
  const own = new URL(url);
  const targets = new Set([url]);
  for (const name of ['location', 'content-location']) {
    const named = response.headers.get(name);
    const target = named === null ? null : URL.parse(named, url);
    if (target?.origin === own.origin) targets.add(target.href.replace(/#.*$/s, ''));
  }
  return [...targets];
}
