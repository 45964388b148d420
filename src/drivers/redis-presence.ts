import type { Member, PresenceChange, PresenceStore } from '../ports/bus.ts';
import type { Clock } from '../ports/clock.ts';
import { createPresenceSweeper } from './presence-sweeper.ts';
import type { RedisLink } from './redis-link.ts';
import { PRESENCE_FADE, PRESENCE_JOIN, PRESENCE_LEAVE, PRESENCE_READ } from './redis-scripts.ts';

export interface RedisPresenceOptions {
  readonly link: RedisLink;
  readonly clock: Clock;
  readonly ttlMs: number;
  readonly channelOf: (topic: string) => string;
}

export interface RedisPresence extends PresenceStore {
  /** Takes those off whose lease is over. */
  reap(topic: string): Promise<void>;
  close(): void;
}

const KEY_NAMES = ['leases', 'members', 'users', 'stand-ins', 'quiet'];

/** Presence that all machines share. What a machine no longer renews is taken off by whoever looks next. */
export function redisPresence(options: RedisPresenceOptions): RedisPresence {
  const { link, clock, ttlMs, channelOf } = options;
  const keysOf = (topic: string) => KEY_NAMES.map((name) => `bunkhouse:{${topic}}:${name}`);
  const now = () => String(clock.now());

  const join: PresenceStore['join'] = async (topic, member) => {
    const { client, user } = member;
    const times = [String(clock.now() + ttlMs), String(ttlMs * 2)];
    await link.run(PRESENCE_JOIN, keysOf(topic), [
      now(),
      channelOf(topic),
      client,
      user,
      JSON.stringify(member),
      ...times,
    ]);
  };
  const read = (topic: string, isList: boolean) =>
    link.run(PRESENCE_READ, keysOf(topic), [now(), channelOf(topic), isList ? '1' : '0']);
  const reap = async (topic: string) => {
    await read(topic, false);
  };
  // Whoever looks at the topic next does it when this fails.
  const sweeper = createPresenceSweeper((topic) => void reap(topic).catch(() => undefined));

  return {
    join,
    async leave(topic, client) {
      await link.run(PRESENCE_LEAVE, keysOf(topic), [now(), channelOf(topic), client]);
    },
    async fade(topic, client, graceMs) {
      const end = String(clock.now() + graceMs);
      await link.run(PRESENCE_FADE, keysOf(topic), [now(), channelOf(topic), client, end]);
      sweeper.plan(topic, graceMs);
    },
    async touch(entries) {
      await Promise.all(entries.map(({ topic, member }) => join(topic, member)));
    },
    list: async (topic) => ((await read(topic, true)) as string[]).map((entry) => JSON.parse(entry) as Member),
    async count(topic) {
      const [clients = 0, users = 0] = (await read(topic, false)) as number[];
      return { clients, users };
    },
    reap,
    close: () => sweeper.close(),
  };
}

/** Reads what the scripts tell: `+` or `-`, whether it is the user's edge, and the member. */
export function readPresenceChange(text: string): PresenceChange {
  return {
    kind: text[0] === '+' ? 'join' : 'leave',
    isEdge: text[1] === '1',
    member: JSON.parse(text.slice(2)) as Member,
  };
}
