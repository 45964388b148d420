import { randomToken } from '../kernel/ids.ts';
import type { AudienceStore } from '../ports/bus.ts';
import type { Clock } from '../ports/clock.ts';
import type { RedisLink } from './redis-link.ts';

export interface RedisAudience extends AudienceStore {
  /** Makes Redis know again what this process has, whatever it remembers of it. */
  restore(): Promise<void>;
  /** Renews the lease; called every few seconds. */
  renew(): Promise<void>;
  /** Takes this process off. */
  leave(): Promise<void>;
}

/** The hashes that are leased, by the time their lease ends. */
const NODES = 'bunkhouse:audience';
/** What a process that died had is gone after this. */
const TTL_MS = 15_000;
/** So far clocks may differ before a living process is overlooked; what ends its count is the expiry in Redis. */
const MAX_SKEW_MS = 60_000;
const FIELDS_AT_ONCE = 1_000;

/** The audience of all processes: each has a leased hash with its own counts, and a reader adds them up. */
export function redisAudience({ link, clock }: { readonly link: RedisLink; readonly clock: Clock }): RedisAudience {
  const own = new Map<string, number>();
  const key = `${NODES}:${randomToken(9)}`;

  const renew = async () => {
    if (own.size === 0) return;
    const [known] = await Promise.all([
      link.send('HLEN', [key]),
      link.send('PEXPIRE', [key, String(TTL_MS)]),
      link.send('ZADD', [NODES, String(clock.now() + TTL_MS), key]),
      link.send('ZREMRANGEBYSCORE', [NODES, '-inf', String(clock.now() - MAX_SKEW_MS)]),
    ]);
    if (known !== own.size) await restore();
  };
  const write = async (counts: Iterable<readonly [string, number]>) => {
    const [fields, gone]: [string[], string[]] = [[], []];
    for (const [name, count] of counts) {
      if (count > 0) fields.push(name, String(count));
      else gone.push(name);
    }
    const commands: Promise<unknown>[] = [];
    for (let at = 0; at < fields.length; at += FIELDS_AT_ONCE * 2)
      commands.push(link.send('HSET', [key, ...fields.slice(at, at + FIELDS_AT_ONCE * 2)]));
    for (let at = 0; at < gone.length; at += FIELDS_AT_ONCE)
      commands.push(link.send('HDEL', [key, ...gone.slice(at, at + FIELDS_AT_ONCE)]));
    await Promise.all(commands);
  };
  const restore = async () => {
    await Promise.all([link.send('DEL', [key]), write(own)]);
    if (own.size > 0) {
      await link.send('PEXPIRE', [key, String(TTL_MS)]);
      await link.send('ZADD', [NODES, String(clock.now() + TTL_MS), key]);
    }
  };
  const nodes = async () =>
    (await link.send('ZRANGEBYSCORE', [NODES, String(clock.now() - MAX_SKEW_MS), '+inf'])) as string[];

  return {
    restore,
    renew,
    async set(changes) {
      const isFirst = own.size === 0;
      for (const [name, count] of changes) {
        if (count > 0) own.set(name, count);
        else own.delete(name);
      }
      await write(changes);
      if (isFirst) await renew();
    },
    async list() {
      const total = new Map<string, number>();
      const hashes = await Promise.all((await nodes()).map((node) => link.send('HGETALL', [node])));
      for (const hash of hashes as Record<string, string>[]) {
        for (const [name, count] of Object.entries(hash)) total.set(name, (total.get(name) ?? 0) + Number(count));
      }
      return total;
    },
    async count(name) {
      const counts = await Promise.all((await nodes()).map((node) => link.send('HGET', [node, name])));
      return counts.reduce<number>((sum, count) => sum + Number(count ?? 0), 0);
    },
    async leave() {
      await Promise.all([link.send('DEL', [key]), link.send('ZREM', [NODES, key])]);
    },
  };
}
