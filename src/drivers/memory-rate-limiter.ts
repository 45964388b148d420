import { LruMap } from '../kernel/lru.ts';
import type { Clock } from '../ports/clock.ts';
import type { RateLimiter, RatePolicy } from '../ports/rate-limiter.ts';

/** Most keys of one policy that are remembered; past it those unused for longest start afresh. About 10 MB when full. */
const MAX_KEYS = 100_000;

/**
 * Rate limits by the generic cell rate algorithm (ITU-T I.371): each key has one number, the time at which its allowance would
 * be whole again. A burst of the whole count is allowed, then one for every `window / count`.
 */
export function memoryRateLimiter(clock: Clock): RateLimiter {
  const allowances = new Map<string, LruMap<string, Allowance>>();

  const of = (policy: RatePolicy): LruMap<string, Allowance> => {
    let kept = allowances.get(policy.name);
    if (!kept) {
      kept = new LruMap(MAX_KEYS);
      allowances.set(policy.name, kept);
    }
    return kept;
  };

  return {
    take(policy, key) {
      const keys = of(policy);
      let allowance = keys.get(key);
      if (!allowance) {
        allowance = { wholeAt: 0 };
        keys.set(key, allowance);
      }
      const now = clock.now();
      const windowMs = policy.windowSeconds * 1000;
      const intervalMs = windowMs / policy.count;
      // Never further off than the window: the clock may have been set back.
      const next = Math.min(Math.max(allowance.wholeAt, now), now + windowMs) + intervalMs;
      const waitMs = next - now - windowMs;
      // Half a millisecond of slack: intervals are fractions that do not add up exactly.
      const allowed = waitMs <= 0.5;
      if (allowed) allowance.wholeAt = next;
      const untilWholeMs = (allowed ? next : next - intervalMs) - now;
      return {
        allowed,
        remaining: Math.max(0, Math.floor((windowMs - untilWholeMs + 0.5) / intervalMs)),
        resetSeconds: Math.ceil(untilWholeMs / 1000),
        retryAfterSeconds: allowed ? 0 : Math.max(1, Math.ceil(waitMs / 1000)),
      };
    },
    giveBack(policy, key) {
      const allowance = of(policy).get(key);
      if (allowance) allowance.wholeAt -= (policy.windowSeconds * 1000) / policy.count;
    },
  };
}

interface Allowance {
  /** When it would be whole again, in milliseconds since the epoch. */
  wholeAt: number;
}
