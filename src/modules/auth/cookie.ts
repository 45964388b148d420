/**
 * The cookie that signs a browser in: HttpOnly, bound to this host alone by its `__Host-` prefix (RFC 6265bis §4.1.3.2). It
 * carries a token of its own kind, which stands as long as the login behind it does.
 */
export const SESSION_COOKIE = '__Host-bunkhouse';

const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Lax';

/** Seconds until the cookie ends. */
export function sessionCookie(token: string, maxAgeSeconds: number): string {
  return `${SESSION_COOKIE}=${token}; Max-Age=${maxAgeSeconds}; ${ATTRIBUTES}`;
}

/** Makes the browser forget the cookie. */
export function clearedSessionCookie(): string {
  return `${SESSION_COOKIE}=; Max-Age=0; ${ATTRIBUTES}`;
}

export function readSessionCookie(header: string | null): string | null {
  if (header === null || !header.includes(SESSION_COOKIE)) return null;
  for (const pair of header.split(';')) {
    const [name, value] = pair.trim().split('=', 2);
    if (name === SESSION_COOKIE && value) return value;
  }
  return null;
}
