import { expect, test } from 'bun:test';
import { inTime } from '../../src/kernel/in-time.ts';

const never = new Promise<never>(() => undefined);
const outcomeOf = (running: Promise<unknown>) =>
  running.then(
    (value) => ['resolved', value],
    (error: unknown) => ['rejected', error],
  );

test('what comes in time counts, and else what is made for being late', async () => {
  expect(await outcomeOf(inTime(Promise.resolve(1), 1_000, () => 'late'))).toEqual(['resolved', 1]);
  expect(await outcomeOf(inTime(Promise.reject('fault'), 1_000, () => 'late'))).toEqual(['rejected', 'fault']);
  expect(await outcomeOf(inTime(never, 1, () => 'late'))).toEqual(['rejected', 'late']);
});
