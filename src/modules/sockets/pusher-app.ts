import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** The application that Pusher clients and servers speak of: `PUSHER_APP_ID`, `PUSHER_APP_KEY`, `PUSHER_APP_SECRET`. */
export interface PusherApp {
  readonly id: string;
  readonly key: string;
  readonly secret: string;
}

/** A request's clock may be off by this (https://pusher.com/docs/channels/library_auth_reference/rest-api/#authentication). */
const MAX_SKEW_SECONDS = 600;

/** `<key>:<signature>`, the answer of an authorization endpoint. */
export function signFor(app: PusherApp, content: string): string {
  return `${app.key}:${hmac(app, content)}`;
}

/** What is signed to join a channel. `channelData` goes in byte for byte. */
export function channelContent(socketId: string, channel: string, channelData?: string): string {
  return channelData === undefined ? `${socketId}:${channel}` : `${socketId}:${channel}:${channelData}`;
}

/** What is signed to sign a user in. */
export function userContent(socketId: string, userData: string): string {
  return `${socketId}::user::${userData}`;
}

export function isSignedFor(app: PusherApp, content: string, auth: unknown): boolean {
  return typeof auth === 'string' && isSame(auth, signFor(app, content));
}

/** Why a request to the HTTP API is refused; null when its signature holds. */
export function findApiFault(app: PusherApp, request: Request, body: string, nowMs: number): string | null {
  const url = new URL(request.url);
  const params = [...url.searchParams].filter(([name]) => name !== 'auth_signature');
  const given = new Map(params);
  if (given.get('auth_key') !== app.key) return 'Unknown auth_key';
  const skew = Math.abs(nowMs / 1000 - Number(given.get('auth_timestamp')));
  if (!(skew <= MAX_SKEW_SECONDS)) return `Timestamp expired: it must be within ${MAX_SKEW_SECONDS}s of server time`;
  if (body !== '' && !isSame(given.get('body_md5') ?? '', createHash('md5').update(body).digest('hex'))) {
    return 'body_md5 does not fit the body';
  }
  const query = params
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map((pair) => pair.join('='))
    .join('&');
  const expected = hmac(app, `${request.method}\n${url.pathname}\n${query}`);
  return isSame(url.searchParams.get('auth_signature') ?? '', expected) ? null : 'Invalid signature';
}

function hmac({ secret }: PusherApp, content: string): string {
  return createHmac('sha256', secret).update(content).digest('hex');
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
