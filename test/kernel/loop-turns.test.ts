import { expect, test } from 'bun:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createLoopTurns } from '../../src/kernel/loop-turns.ts';

test('a turn is the same for all that it handles, promises included, and another afterwards', async () => {
  const turn = createLoopTurns();
  const first = turn();
  await Promise.resolve();
  expect(turn()).toBe(first);
  await nextTurn();
  const second = turn();
  expect(second).not.toBe(first);
  expect(turn()).toBe(second);
});
