import { expect, test } from 'bun:test';
import { readBody, tapHead } from '../../../src/modules/uploads/incoming.ts';
import { uploadProblems } from '../../../src/modules/uploads/problems.ts';
import { bytes, collect, failureOf, from } from '../../contracts/object-store.ts';

test('a body is read to its end', async () => {
  const body = new Blob([new Uint8Array(bytes(100_000))]).stream();
  expect(Buffer.concat(await collect(readBody(body))).equals(bytes(100_000))).toBe(true);
});

test('no body is an empty one', async () => {
  expect(await collect(readBody(null))).toEqual([]);
});

test('a body that falls silent is given up and stopped', async () => {
  const stopped = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes(10)),
    cancel: () => stopped.resolve(),
  });
  const fault = await failureOf(collect(readBody(body, { stallMs: 20 })));
  expect(uploadProblems.is(fault, 'stalled')).toBe(true);
  await stopped.promise;
});

test('a body that arrives slowly, but arrives, is not given up', async () => {
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      if (sent++ < 20) controller.enqueue(bytes(1));
      else controller.close();
    },
  });
  expect((await collect(readBody(body, { stallMs: 100 }))).length).toBe(20);
});

test('a body that breaks counts as interrupted', async () => {
  const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.error(new Error('gone')) });
  expect(uploadProblems.is(await failureOf(collect(readBody(body))), 'interrupted')).toBe(true);
});

test('whoever stops reading stops the body', async () => {
  const stopped = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(bytes(10)),
    cancel: () => stopped.resolve(),
  });
  for await (const _ of readBody(body)) break;
  await stopped.promise;
});

test('the head is kept while the whole passes', async () => {
  const tapped = tapHead(from([bytes(3), bytes(5, 1), bytes(7, 2)]), 6);
  const whole = Buffer.concat(await collect(tapped.body));
  expect(whole.length).toBe(15);
  expect(Buffer.compare(tapped.head(), whole.subarray(0, 6))).toBe(0);
});
