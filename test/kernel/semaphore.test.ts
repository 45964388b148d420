import { expect, test } from 'bun:test';
import { createSemaphore } from '../../src/kernel/semaphore.ts';

/** Work that ends when it is told to. */
function job() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let hasStarted = false;
  return {
    work: () => {
      hasStarted = true;
      return promise;
    },
    resolve,
    reject,
    hasStarted: () => hasStarted,
  };
}

test('no more run at once than there are places; the others wait their turn in order', async () => {
  const semaphore = createSemaphore(2, 10);
  const jobs = Array.from({ length: 4 }, job);
  const results = jobs.map(({ work }) => semaphore.run(work) as Promise<string>);
  expect(jobs.map(({ hasStarted }) => hasStarted())).toEqual([true, true, false, false]);
  expect(semaphore.load).toEqual({ running: 2, waiting: 2 });
  jobs[1]?.resolve('b');
  expect(await results[1]).toBe('b');
  expect(jobs.map(({ hasStarted }) => hasStarted())).toEqual([true, true, true, false]);
  for (const [index, { resolve }] of jobs.entries()) resolve(String(index));
  await Promise.all(results);
  expect(semaphore.load).toEqual({ running: 0, waiting: 0 });
});

test('when the queue is full it says so at once, and takes more when it is not', async () => {
  const semaphore = createSemaphore(1, 1);
  const [first, second, third] = [job(), job(), job()];
  const running = semaphore.run(first.work);
  const waiting = semaphore.run(second.work);
  expect(semaphore.run(third.work)).toBeNull();
  expect(third.hasStarted()).toBe(false);
  first.resolve('1');
  await running;
  const later = semaphore.run(third.work);
  expect(later).not.toBeNull();
  second.resolve('2');
  third.resolve('3');
  expect(await Promise.all([waiting, later])).toEqual(['2', '3']);
});

test('who may wait behind fewer is turned away before the others', async () => {
  const semaphore = createSemaphore(1, 2);
  const jobs = Array.from({ length: 2 }, job);
  const [first, second] = jobs.map(({ work }) => semaphore.run(work, 1));
  expect(semaphore.run(async () => 'no place', 1)).toBeNull();
  const third = semaphore.run(async () => 'a place');
  expect(semaphore.run(async () => 'no place', 100)).toBeNull();
  for (const { resolve } of jobs) resolve('');
  expect(await Promise.all([first, second, third])).toEqual(['', '', 'a place']);
});

test('work that fails, at once or later, gives its place back', async () => {
  const semaphore = createSemaphore(1, 10);
  const failing = job();
  const first = semaphore.run(failing.work);
  const second = semaphore.run(() => {
    throw new Error('at once');
  });
  const third = semaphore.run(async () => 'fine');
  failing.reject(new Error('later'));
  const outcomes = await Promise.allSettled([first, second, third]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  expect(semaphore.load).toEqual({ running: 0, waiting: 0 });
});
