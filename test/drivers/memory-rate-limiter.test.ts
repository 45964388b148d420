import { describe, expect, test } from 'bun:test';
import { memoryRateLimiter } from '../../src/drivers/memory-rate-limiter.ts';
import { fakeClock } from '../support/fakes.ts';

const POLICIES = [
  { name: 'default', count: 10, windowSeconds: 60 },
  { name: 'fraction', count: 7, windowSeconds: 60 },
  { name: 'many', count: 1200, windowSeconds: 60 },
  { name: 'one', count: 1, windowSeconds: 1 },
];

/** How many of so many tries at once are allowed. */
function burst(
  limiter: ReturnType<typeof memoryRateLimiter>,
  policy: (typeof POLICIES)[number],
  tries: number,
  key = 'k',
) {
  let allowed = 0;
  for (let index = 0; index < tries; index++) if (limiter.take(policy, key).allowed) allowed++;
  return allowed;
}

describe('the limiter in memory', () => {
  test.each(POLICIES)('$name: a burst of the whole count is allowed and no more', (policy) => {
    expect(burst(memoryRateLimiter(fakeClock()), policy, policy.count * 3)).toBe(policy.count);
  });

  test.each(POLICIES)('$name: one more for every part of the window that passes', (policy) => {
    const clock = fakeClock();
    const limiter = memoryRateLimiter(clock);
    burst(limiter, policy, policy.count);
    const intervalMs = (policy.windowSeconds * 1000) / policy.count;
    clock.turn(intervalMs - 2);
    expect(burst(limiter, policy, 3)).toBe(0);
    clock.turn(2);
    expect(burst(limiter, policy, 3)).toBe(1);
    clock.turn(policy.windowSeconds * 1000);
    expect(burst(limiter, policy, policy.count * 3)).toBe(policy.count);
  });

  test.each(POLICIES)('$name: who waits as long as was said is let in', (policy) => {
    const clock = fakeClock();
    const limiter = memoryRateLimiter(clock);
    burst(limiter, policy, policy.count);
    const refused = limiter.take(policy, 'k');
    expect(refused.allowed).toBe(false);
    expect(refused.retryAfterSeconds).toBeGreaterThanOrEqual(1);
    clock.turn(refused.retryAfterSeconds * 1000);
    expect(limiter.take(policy, 'k').allowed).toBe(true);
  });

  test('tells what is left and when all of it is back', () => {
    const clock = fakeClock();
    const limiter = memoryRateLimiter(clock);
    const policy = { name: 'p', count: 4, windowSeconds: 60 };
    const told = Array.from({ length: 6 }, () => {
      const { allowed, remaining, resetSeconds, retryAfterSeconds } = limiter.take(policy, 'k');
      return [allowed, remaining, resetSeconds, retryAfterSeconds];
    });
    expect(told).toEqual([
      [true, 3, 15, 0],
      [true, 2, 30, 0],
      [true, 1, 45, 0],
      [true, 0, 60, 0],
      [false, 0, 60, 15],
      [false, 0, 60, 15],
    ]);
    clock.turn(15_000);
    expect(limiter.take(policy, 'k')).toEqual({ allowed: true, remaining: 0, resetSeconds: 60, retryAfterSeconds: 0 });
  });

  test('refused tries do not prolong the wait', () => {
    const clock = fakeClock();
    const limiter = memoryRateLimiter(clock);
    const policy = { name: 'p', count: 2, windowSeconds: 10 };
    burst(limiter, policy, 1000);
    clock.turn(10_000);
    expect(burst(limiter, policy, 10)).toBe(2);
  });

  test('keys and policies have allowances of their own, whatever they are called', () => {
    const limiter = memoryRateLimiter(fakeClock());
    const one = { name: 'one', count: 1, windowSeconds: 60 };
    const two = { name: 'two', count: 1, windowSeconds: 60 };
    for (const key of ['a', 'b', '', '__proto__', 'constructor', 'two\na']) {
      expect([limiter.take(one, key).allowed, limiter.take(two, key).allowed], key).toEqual([true, true]);
      expect([limiter.take(one, key).allowed, limiter.take(two, key).allowed], key).toEqual([false, false]);
    }
  });

  test('what is given back can be taken again, and never more than that', () => {
    const clock = fakeClock();
    const limiter = memoryRateLimiter(clock);
    const policy = { name: 'p', count: 3, windowSeconds: 60 };
    for (let round = 0; round < 50; round++) {
      expect(limiter.take(policy, 'k').allowed).toBe(true);
      limiter.giveBack(policy, 'k');
    }
    expect(burst(limiter, policy, 10)).toBe(3);
    limiter.giveBack(policy, 'unknown');
    expect(burst(limiter, policy, 10, 'unknown')).toBe(3);
    limiter.take(policy, 'late');
    clock.turn(60_000);
    limiter.giveBack(policy, 'late');
    expect(burst(limiter, policy, 10, 'late')).toBe(3);
  });

  test('holds a bounded number of keys under rotation', () => {
    const clock = fakeClock();
    const limiter = memoryRateLimiter(clock);
    const policy = { name: 'p', count: 1, windowSeconds: 60 };
    limiter.take(policy, 'first');
    expect(limiter.take(policy, 'first').allowed).toBe(false);
    for (let key = 0; key < 110_000; key++) limiter.take(policy, `2001:db8:${key}::/64`);
    // That the oldest key was forgotten is how a bound shows from outside.
    expect(limiter.take(policy, 'first').allowed).toBe(true);
    expect(limiter.take(policy, '2001:db8:109999::/64').allowed).toBe(false);
  });
});
