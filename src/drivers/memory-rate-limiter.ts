import { LruMap } from '../kernel/lru.ts';
import type { Clock } from '../ports/clock.ts';
import type { RateLimiter, RatePolicy } from '../ports/rate-limiter.ts';

/** Most keys that are remembered; past it the one unused for longest starts afresh. About 20 MB when full. */
const MAX_KEYS = 100_000;

/**
 * Rate limits by the generic cell rate algorithm (ITU-T I.371): each key has one number, the time at which its allowance would
 * be whole again. A burst of the whole count is allowed, then one for every `window / count`.
 */
export function memoryRateLimiter(clock: Clock): RateLimiter {
  const wholeAt = new LruMap<string, number>(MAX_KEYS);
  return {
    take(policy, key) {
      const now = clock.now();
      const intervalMs = (policy.windowSeconds * 1000) / policy.count;
      const windowMs = policy.windowSeconds * 1000;
      const id = keyOf(policy, key);
      const next = Math.max(wholeAt.get(id) ?? 0, now) + intervalMs;
      const waitMs = next - now - windowMs;
      // Half a millisecond of slack: intervals are fractions that do not add up exactly.
      const allowed = waitMs <= 0.5;
      if (allowed) wholeAt.set(id, next);
      const until = (allowed ? next : next - intervalMs) - now;
      return {
        allowed,
        remaining: Math.max(0, Math.floor((windowMs - until + 0.5) / intervalMs)),
        resetSeconds: Math.ceil(until / 1000),
        retryAfterSeconds: allowed ? 0 : Math.max(1, Math.ceil(waitMs / 1000)),
      };
    },
    giveBack(policy, key) {
      const id = keyOf(policy, key);
      const at = wholeAt.get(id);
      if (at !== undefined) wholeAt.set(id, at - (policy.windowSeconds * 1000) / policy.count);
    },
  };
}

function keyOf(policy: RatePolicy, key: string): string {
  return `${policy.name}\n${key}`;
}
