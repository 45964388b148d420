import { expect, test } from 'bun:test';
import { memoryRateLimiter } from '../../../src/drivers/memory-rate-limiter.ts';
import { redisRateLimiter } from '../../../src/drivers/redis-rate-limiter.ts';
import { eventually } from '../../support/eventually.ts';
import { fakeClock } from '../../support/fakes.ts';
import { hasRedis, startRedis } from './redis-server.ts';

const policy = { name: 'default', count: 10, windowSeconds: 60 };

test.skipIf(!hasRedis)('machines count together, and each for itself while Redis is gone', async () => {
  await using redis = await startRedis();
  const clock = fakeClock();
  const open = () => redisRateLimiter({ url: redis.url, local: memoryRateLimiter(clock), onFault: () => undefined });
  const [one, two] = [open(), open()];
  // A probe with a key of its own shows when they have found each other.
  await eventually(() => {
    one.take(policy, 'probe');
    const verdict = two.take({ ...policy, count: 100_000 }, 'other');
    return verdict.allowed && two.take(policy, 'probe').remaining < 5;
  });
  for (let index = 0; index < 6; index++) expect(one.take(policy, 'ada').allowed).toBe(true);
  one.giveBack(policy, 'ada');
  await eventually(() => {
    const { remaining } = two.take(policy, 'ada');
    two.giveBack(policy, 'ada');
    return remaining === 4;
  });
  for (let index = 0; index < 5; index++) expect(two.take(policy, 'ada').allowed).toBe(true);
  expect(two.take(policy, 'ada').allowed).toBe(false);
  await eventually(() => !one.take(policy, 'ada').allowed);

  await redis.kill();
  expect(one.take(policy, 'eve').allowed).toBe(true);
  expect(two.take(policy, 'ada').allowed).toBe(false);
  one.close();
  two.close();
});
