import { afterEach, expect, jest, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { hashThread } from '../../src/drivers/hash-thread.ts';
import { failureOf } from '../contracts/object-store.ts';

const MINUTE = 60_000;
const block = new Uint8Array(new SharedArrayBuffer(1000)).fill(7);
const expected = createHash('sha256').update(block).digest('hex');

afterEach(() => {
  jest.useRealTimers();
});

test('blocks are hashed in order, and a copy goes on alone', async () => {
  const hash = hashThread()();
  await hash.update(block);
  const copy = hash.copy();
  await copy.update(block);
  expect(await hash.digest()).toBe(expected);
  expect(await copy.digest()).toBe(createHash('sha256').update(block).update(block).digest('hex'));
});

test('what waits for a hash that is dropped fails', async () => {
  const hash = hashThread()();
  const waiting = [failureOf(hash.update(block)), failureOf(hash.digest())];
  hash.drop();
  for (const fault of await Promise.all(waiting)) expect(fault).toBeInstanceOf(Error);
});

test('a hash that is dropped while its end is on the way does not stop the thread under others', async () => {
  jest.useFakeTimers();
  const openHash = hashThread();
  const dropped = openHash();
  await dropped.update(block);
  failureOf(dropped.digest()).catch(() => undefined);
  dropped.drop();
  // A thread of its own takes longer to start and answer than the other one needs to answer.
  expect(await hashThread()().digest()).toHaveLength(64);
  const next = openHash();
  jest.advanceTimersByTime(MINUTE);
  await next.update(block);
  expect(await next.digest()).toBe(expected);
});

test('a thread that was idle for long is replaced', async () => {
  jest.useFakeTimers();
  const openHash = hashThread();
  const first = openHash();
  await first.update(block);
  await first.digest();
  jest.advanceTimersByTime(MINUTE);
  const second = openHash();
  await second.update(block);
  expect(await second.digest()).toBe(expected);
});
