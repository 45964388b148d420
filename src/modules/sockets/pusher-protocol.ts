import type { Member, Publication } from '../../ports/bus.ts';
import type { Verdict, Verdicts } from './connection.ts';
import type { Encoder } from './outlet.ts';

/**
 * The words of Pusher Channels, protocol 7
 * (https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/).
 */

/**
 * Close codes: after 4000–4099 and 4300–4399 the client stays away, after 4100–4199 it comes back in a second, after 4200–4299
 * at once.
 */
export const PUSHER_CLOSES = {
  unknownApp: { code: 4001, reason: 'Application does not exist' },
  malformed: { code: 4007, reason: 'Unsupported message' },
  expired: { code: 4009, reason: 'Connection is unauthorized' },
  revoked: { code: 4009, reason: 'Connection is unauthorized' },
  tooMany: { code: 4100, reason: 'Over capacity' },
  slow: { code: 4100, reason: 'Over capacity' },
  flooding: { code: 4100, reason: 'Over capacity' },
  internal: { code: 4200, reason: 'Closed, reconnect' },
  shutdown: { code: 4200, reason: 'Closed, reconnect' },
  noPong: { code: 4201, reason: 'Pong reply not received' },
  stale: { code: 4201, reason: 'Pong reply not received' },
} as const satisfies Verdicts & Record<string, Verdict>;

/** Codes of `pusher:error`. */
export const PUSHER_ERRORS = {
  unauthorized: 4009,
  clientEventRejected: 4301,
} as const;

/** Clients send `data` as it is; servers send it as a text that holds JSON. */
export function pusherFrame(event: string, data: unknown, channel?: string): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return JSON.stringify({ event, ...(channel === undefined ? {} : { channel }), data: text });
}

/** Errors carry an object. */
export function pusherError(code: number | null, message: string): string {
  return JSON.stringify({ event: 'pusher:error', data: { code, message } });
}

export const pusherEncoder: Encoder = {
  name: 'p',
  separator: null,
  publication(channel, { name = 'message', data, from }: Publication) {
    const user = from?.user && channel.startsWith('presence-') ? { user_id: from.user } : {};
    return JSON.stringify({ event: name, channel, data: fromJsonText(data), ...user });
  },
  presence(channel, { kind, member, isEdge }) {
    // Users count, not connections.
    if (!isEdge || !channel.startsWith('presence-')) return null;
    return kind === 'join'
      ? pusherFrame('pusher_internal:member_added', { user_id: member.user, user_info: infoOf(member) }, channel)
      : pusherFrame('pusher_internal:member_removed', { user_id: member.user }, channel);
  },
};

/** The `presence` part of a subscription's data. */
export function pusherMembers(members: readonly Member[]): object {
  const hash = new Map<string, unknown>();
  for (const member of members) hash.set(member.user, infoOf(member));
  return { presence: { count: hash.size, ids: [...hash.keys()], hash: Object.fromEntries(hash) } };
}

/**
 * A Pusher server gives data as text, mostly JSON. As a message of ours it is that JSON; other text becomes a JSON text.
 * Line breaks would end a frame of the other wire.
 */
export function toJsonText(data: unknown): string {
  if (typeof data !== 'string') return JSON.stringify(data) ?? 'null';
  const value = tryParse(data);
  if (value === undefined) return JSON.stringify(data);
  return /[\r\n]/.test(data) ? JSON.stringify(value) : data;
}

/** The other way round: text that is no JSON goes out as it came in. */
function fromJsonText(json: string): string {
  if (!json.startsWith('"')) return json;
  const text = JSON.parse(json) as string;
  return tryParse(text) === undefined ? text : json;
}

function infoOf({ info }: Member): unknown {
  return info === undefined ? {} : JSON.parse(info);
}

/** Undefined when the text is no JSON: JSON itself knows no such value. */
function tryParse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
