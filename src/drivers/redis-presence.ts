import type { Member, PresenceChange, PresenceStore } from '../ports/bus.ts';
import type { Clock } from '../ports/clock.ts';
import type { RedisLink } from './redis-link.ts';
import { PRESENCE_JOIN, PRESENCE_LEAVE, PRESENCE_READ } from './redis-scripts.ts';

export interface RedisPresenceOptions {
  readonly link: RedisLink;
  readonly clock: Clock;
  readonly ttlMs: number;
  readonly channelOf: (topic: string) => string;
}

/** Presence that all machines share. What a machine no longer renews is taken off by whoever looks next. */
export function redisPresence(options: RedisPresenceOptions): PresenceStore & { reap(topic: string): Promise<void> } {
  const { link, clock, ttlMs, channelOf } = options;
  const keysOf = (topic: string) => ['leases', 'members', 'users'].map((name) => `bunkhouse:{${topic}}:${name}`);
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

  return {
    join,
    async leave(topic, client) {
      await link.run(PRESENCE_LEAVE, keysOf(topic), [now(), channelOf(topic), client]);
    },
    async touch(entries) {
      await Promise.all(entries.map(({ topic, member }) => join(topic, member)));
    },
    list: async (topic) => ((await read(topic, true)) as string[]).map((entry) => JSON.parse(entry) as Member),
    async count(topic) {
      const [clients = 0, users = 0] = (await read(topic, false)) as number[];
      return { clients, users };
    },
    async reap(topic) {
      await read(topic, false);
    },
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
