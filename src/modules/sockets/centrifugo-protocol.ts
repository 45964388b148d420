import type { Member, PresenceChange, Publication } from '../../ports/bus.ts';
import type { Verdict, Verdicts } from './connection.ts';
import { isRecord, tryRecord } from './json.ts';
import type { Encoder } from './outlet.ts';

/**
 * The words of Centrifugo's client protocol, version 2, as JSON
 * (https://centrifugal.dev/docs/transports/client_protocol, centrifugal/protocol `definitions/client.proto`).
 */

/** Error codes of replies (https://centrifugal.dev/docs/server/codes#client-error-codes). 400 and up are ours. */
export const ERRORS = {
  internal: { code: 100, message: 'internal server error', temporary: true },
  permissionDenied: { code: 103, message: 'permission denied' },
  methodNotFound: { code: 104, message: 'method not found' },
  alreadySubscribed: { code: 105, message: 'already subscribed' },
  limitExceeded: { code: 106, message: 'limit exceeded' },
  badRequest: { code: 107, message: 'bad request' },
  tokenExpired: { code: 109, message: 'token expired' },
  tooManyRequests: { code: 111, message: 'too many requests', temporary: true },
  unrecoverablePosition: { code: 112, message: 'unrecoverable position' },
  notSubscribed: { code: 400, message: 'not subscribed' },
} as const;

/** What a reply says went wrong. */
export interface ReplyError {
  readonly code: number;
  readonly message: string;
  readonly temporary?: boolean;
}

/**
 * Disconnect codes (https://centrifugal.dev/docs/server/codes#disconnect-codes): the client comes back after 3000–3499, and
 * never by itself after 3500–3999.
 */
export const DISCONNECTS = {
  shutdown: { code: 3001, reason: 'shutdown' },
  internal: { code: 3004, reason: 'internal server error' },
  expired: { code: 3005, reason: 'connection expired' },
  slow: { code: 3008, reason: 'slow' },
  insufficientState: { code: 3010, reason: 'insufficient state' },
  noPong: { code: 3012, reason: 'no pong' },
  flooding: { code: 3013, reason: 'too many requests' },
  revoked: { code: 3500, reason: 'invalid token' },
  malformed: { code: 3501, reason: 'bad request' },
  stale: { code: 3502, reason: 'stale' },
  tooMany: { code: 3504, reason: 'connection limit' },
} as const satisfies Verdicts & Record<string, Verdict>;

/** Unsubscribe codes: the client subscribes again after 2500 and up. */
export const UNSUBSCRIBES = {
  server: { code: 2000, reason: 'server unsubscribe' },
  insufficientState: { code: 2500, reason: 'insufficient state' },
  expired: { code: 2501, reason: 'subscription expired' },
} as const;

/** Both sides' sign of life. */
export const PING_FRAME = '{}';

/** Names of the requests that a command may carry. */
export const METHODS = [
  'connect',
  'subscribe',
  'unsubscribe',
  'publish',
  'presence',
  'presence_stats',
  'history',
  'rpc',
  'send',
  'refresh',
  'sub_refresh',
  'ping',
] as const;
export type Method = (typeof METHODS)[number];

export interface Command {
  /** 0 when there is none. */
  readonly id: number;
  readonly method: Method | 'pong' | null;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Reads one command; null when it is none. An empty object is the answer to a ping. */
export function readCommand(text: string): Command | null {
  const value = tryRecord(text);
  if (!value) return null;
  const { id = 0 } = value;
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > 0xffffffff) return null;
  const method = METHODS.find((name) => Object.hasOwn(value, name)) ?? null;
  if (method === null) return { id, method: id === 0 && Object.keys(value).length === 0 ? 'pong' : null, params: {} };
  // Only `send` goes without an answer.
  if (id === 0 && method !== 'send') return null;
  const params = value[method];
  return isRecord(params) ? { id, method, params } : null;
}

/** @param result JSON text. */
export function replyFrame(id: number, method: Method, result: string): string {
  return `{"id":${id},"${method}":${result}}`;
}

export function errorFrame(id: number, error: ReplyError): string {
  return `{"id":${id},"error":${JSON.stringify(error)}}`;
}

export function unsubscribeFrame(channel: string, verdict: Verdict): string {
  return `{"push":{"channel":${JSON.stringify(channel)},"unsubscribe":${JSON.stringify(verdict)}}}`;
}

/** The `Publication` message as JSON text. */
export function publicationText({ data, offset, name, from }: Publication): string {
  const info = from ? `,"info":${memberText(from)}` : '';
  const tags = name === undefined ? '' : `,"tags":{"event":${JSON.stringify(name)}}`;
  return `{"data":${data},"offset":${offset}${info}${tags}}`;
}

/** The `ClientInfo` message as JSON text. */
export function memberText({ client, user, info }: Member): string {
  const shown = info === undefined ? '' : `,"conn_info":${info}`;
  return `{"user":${JSON.stringify(user)},"client":${JSON.stringify(client)}${shown}}`;
}

function publicationPush(channel: string, publication: Publication): string {
  return `{"channel":${JSON.stringify(channel)},"pub":${publicationText(publication)}}`;
}

/** For subscriptions that asked for publications alone. */
export const plainEncoder: Encoder = {
  name: 'c',
  separator: '\n',
  publication: (channel, publication) => `{"push":${publicationPush(channel, publication)}}`,
};

/** For subscriptions that also asked who comes and goes. */
export const joinLeaveEncoder: Encoder = {
  name: 'cj',
  separator: '\n',
  publication: plainEncoder.publication,
  presence: (channel, { kind, member }: PresenceChange) =>
    `{"push":{"channel":${JSON.stringify(channel)},"${kind}":{"info":${memberText(member)}}}}`,
};

/** For the unidirectional stream: pushes without their wrapper, as events (HTML, server-sent events). */
export const eventEncoder: Encoder = {
  name: 'ce',
  // An event ends itself.
  separator: '',
  publication: (channel, publication) => toEvent(publicationPush(channel, publication)),
};

export function toEvent(json: string): string {
  return `data: ${json}\n\n`;
}
