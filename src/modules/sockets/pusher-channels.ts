import { userTopic } from './topics.ts';

/** What a Pusher channel is here. */
export interface PusherChannel {
  readonly kind: 'public' | 'private' | 'presence' | 'user';
  readonly topic: string;
  /** A new subscriber gets the last message (cache channels). */
  readonly isCached: boolean;
}

const USER_PREFIX = '#server-to-user-';
/** Longest first. */
const PREFIXES = [
  { prefix: 'presence-cache-', kind: 'presence', isCached: true },
  { prefix: 'private-cache-', kind: 'private', isCached: true },
  { prefix: 'presence-', kind: 'presence', isCached: false },
  { prefix: 'private-', kind: 'private', isCached: false },
  { prefix: 'cache-', kind: 'public', isCached: true },
] as const;
const TOPIC_PREFIXES = { public: 'public.', private: '', presence: 'presence.' } as const;

/**
 * Reads a channel's name: up to 200 of the characters that Pusher allows
 * (https://pusher.com/docs/channels/using_channels/channels/#channel-naming-conventions). Null when it is none.
 */
export function readPusherChannel(name: unknown): PusherChannel | null {
  if (typeof name !== 'string' || !/^#?[\w\-=@,.;]{1,200}$/.test(name)) return null;
  if (name.startsWith(USER_PREFIX) && name.length > USER_PREFIX.length) {
    return { kind: 'user', topic: userTopic(name.slice(USER_PREFIX.length)), isCached: false };
  }
  if (name.startsWith('#')) return null;
  for (const { prefix, kind, isCached } of PREFIXES) {
    if (!name.startsWith(prefix)) continue;
    const rest = name.slice(prefix.length);
    return rest === '' ? null : { kind, topic: TOPIC_PREFIXES[kind] + rest, isCached };
  }
  return { kind: 'public', topic: TOPIC_PREFIXES.public + name, isCached: false };
}
