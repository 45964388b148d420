import { randomToken } from '../kernel/ids.ts';
import type { RateLimiter, RatePolicy } from '../ports/rate-limiter.ts';
import { createRedisLink } from './redis-link.ts';

export interface RedisRateLimiterOptions {
  readonly url: string;
  /** Counts here: what this process lets through, and what the others tell. */
  readonly local: RateLimiter;
  readonly onFault: (error: unknown) => void;
}

export interface SharedRateLimiter extends RateLimiter {
  close(): void;
}

interface Taken {
  readonly policy: RatePolicy;
  readonly key: string;
  count: number;
}

const CHANNEL = 'bunkhouse:rates';
/** How far machines may be behind each other. */
const TELL_MS = 200;
/** Most keys in one message; more are told with the next. */
const MAX_KEYS = 1_000;
/** Most keys that wait to be told. */
const MAX_WAITING = 10_000;

/**
 * Rate limits that machines share. Every verdict is given at once from local counts; what was let through is told to the others a
 * moment later, and they count it as theirs. So together they let through what is allowed and at most what arrives within that
 * moment on the others. Without Redis each counts for itself.
 */
export function redisRateLimiter({ url, local, onFault }: RedisRateLimiterOptions): SharedRateLimiter {
  const node = randomToken(9);
  const taken = new Map<string, Taken>();

  const note = (policy: RatePolicy, key: string, count: number) => {
    const id = `${policy.name}\n${key}`;
    const entry = taken.get(id) ?? { policy, key, count: 0 };
    // More distinct keys than can be told: what is not told is counted here alone.
    if (taken.size >= MAX_WAITING && entry.count === 0) return;
    entry.count += count;
    taken.set(id, entry);
  };

  const link = createRedisLink({
    url,
    onFault,
    onChange: () => undefined,
    onMessage(_channel, message) {
      const told = JSON.parse(message) as { readonly node: string; readonly entries: readonly Taken[] };
      if (told.node === node) return;
      for (const { policy, key, count } of told.entries) {
        // More than all of it changes nothing.
        for (let index = 0; index < Math.min(count, policy.count); index++) local.take(policy, key);
        for (let index = 0; index > Math.max(count, -policy.count); index--) local.giveBack(policy, key);
      }
    },
  });
  link.subscribe(CHANNEL);

  const tell = () => {
    if (!link.isUp) {
      taken.clear();
      return;
    }
    const entries: Taken[] = [];
    for (const [id, entry] of taken) {
      if (entries.length === MAX_KEYS) break;
      taken.delete(id);
      if (entry.count !== 0) entries.push(entry);
    }
    if (entries.length > 0) link.send('PUBLISH', [CHANNEL, JSON.stringify({ node, entries })]).catch(onFault);
  };
  const timer = setInterval(tell, TELL_MS);

  return {
    take(policy, key) {
      const verdict = local.take(policy, key);
      if (verdict.allowed) note(policy, key, 1);
      return verdict;
    },
    giveBack(policy, key) {
      local.giveBack(policy, key);
      note(policy, key, -1);
    },
    close() {
      clearInterval(timer);
      link.close();
    },
  };
}
