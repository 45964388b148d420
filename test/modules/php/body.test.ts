import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requestProblems, serverProblems } from '../../../src/kernel/problems.ts';
import { createBodyTaker } from '../../../src/modules/php/body.ts';
import type { PhpBody } from '../../../src/ports/php-pool.ts';
import { bytes, failureOf } from '../../contracts/object-store.ts';

const MIB = 1024 * 1024;
let spoolDir: string;

beforeAll(async () => {
  spoolDir = await mkdtemp(join(tmpdir(), 'bunkhouse-spool-'));
});
afterAll(() => rm(spoolDir, { recursive: true, force: true }));

const takerOn = (freeBytes: number) => createBodyTaker({ maxBytes: 0, spoolDir, freeBytes: async () => freeBytes });

const sent = (size: number, headers: Record<string, string> = { 'content-length': String(size) }) =>
  new Request('http://localhost/', { method: 'POST', headers, body: Uint8Array.from(bytes(size)) });

/** A request of which only the first bytes ever come. */
const stalled = (declared: number) =>
  new Request('http://localhost/', {
    method: 'POST',
    headers: { 'content-length': String(declared) },
    body: new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(new Uint8Array(10)) }),
  });

async function contentOf({ body }: Awaited<ReturnType<ReturnType<typeof createBodyTaker>>>): Promise<Buffer> {
  const opened = body?.open() as Uint8Array | AsyncIterable<Uint8Array>;
  return Buffer.concat(opened instanceof Uint8Array ? [opened] : await Array.fromAsync(opened));
}

describe('a body', () => {
  test.each([1, 64 * 1024, 64 * 1024 + 1, MIB, MIB + 1, 3 * MIB])('of %d bytes comes whole', async (size) => {
    const taken = await takerOn(100 * MIB)(sent(size), true);
    expect(taken.body?.size).toBe(size);
    expect((await contentOf(taken)).equals(bytes(size))).toBe(true);
    taken.release();
  });

  test.each([20, 100_000, 2 * MIB])(
    'of %d bytes that falls silent is given up, and the connection with it',
    async (declared) => {
      const take = createBodyTaker({ maxBytes: 0, spoolDir, freeBytes: async () => 100 * MIB, stallMs: 20 });
      const fault = await failureOf(Promise.resolve(take(stalled(declared), true)));
      expect(requestProblems.is(fault, 'malformed') && fault.headers).toEqual({ connection: 'close' });
    },
  );
});

describe('bodies that wait on disk', () => {
  test('take a quarter of what is free together, and the next one is to come again', async () => {
    const take = takerOn(16 * MIB);
    const first = await take(sent(2 * MIB), true);
    const fault = await failureOf(Promise.resolve(take(sent(3 * MIB, { 'transfer-encoding': 'chunked' }), true)));
    expect(serverProblems.is(fault, 'busy') && fault.retryAfterSeconds).toBe(10);
    first.release();
    first.release();
    const next = await take(sent(3 * MIB), true);
    expect(next.body?.size).toBe(3 * MIB);
    next.release();
  });

  test('of callers who are not signed in take half of that', async () => {
    const take = takerOn(16 * MIB);
    const first = await take(sent(1.5 * MIB), false);
    const fault = await failureOf(Promise.resolve(take(sent(1.5 * MIB), false)));
    expect(serverProblems.is(fault, 'busy')).toBe(true);
    const known = await take(sent(2 * MIB), true);
    // What memory holds needs no disk.
    const small = await take(sent(MIB), false);
    for (const each of [first, known, small]) each.release();
  });

  test('that were refused or broke off leave nothing taken', async () => {
    const take = takerOn(16 * MIB);
    for (let turn = 0; turn < 3; turn++) {
      await failureOf(Promise.resolve(take(sent(5 * MIB), true)));
      let chunks = 0;
      const breaking = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (chunks++ < 3) controller.enqueue(new Uint8Array(MIB));
          else controller.error(new Error('gone'));
        },
      });
      const headers = { 'transfer-encoding': 'chunked' };
      const request = new Request('http://localhost/', { method: 'POST', headers, body: breaking });
      expect(requestProblems.is(await failureOf(Promise.resolve(take(request, true))), 'malformed')).toBe(true);
    }
    const all = await take(sent(4 * MIB), true);
    expect(all.body?.size).toBe(4 * MIB);
    all.release();
  });
});

describe('bodies that wait in memory', () => {
  const small = 60_000;
  const take = (memoryBytes: number) =>
    createBodyTaker({ maxBytes: 0, spoolDir, freeBytes: async () => 100 * MIB, memoryBytes });
  const isInMemory = ({ body }: { body: PhpBody | null }) => body?.open() instanceof Uint8Array;

  test.each([small, 300_000])(
    'take no more than they may together: a further one of %d bytes waits on disk',
    async (size) => {
      const taker = take(2 * size);
      const [first, second, third] = [
        await taker(sent(size), true),
        await taker(sent(size), true),
        await taker(sent(size), true),
      ];
      expect([first, second, third].map(isInMemory)).toEqual([true, true, false]);
      expect((await contentOf(third)).equals(bytes(size))).toBe(true);
      first.release();
      first.release();
      const next = await taker(sent(size), true);
      const last = await taker(sent(size), true);
      expect([next, last].map(isInMemory)).toEqual([true, false]);
      for (const each of [second, third, next, last]) each.release();
    },
  );

  test('leave nothing taken when they broke off, were too large, or went to disk', async () => {
    const taker = createBodyTaker({
      maxBytes: 2 * MIB,
      spoolDir,
      freeBytes: async () => 100 * MIB,
      memoryBytes: MIB,
      stallMs: 20,
    });
    for (const declared of [small, 300_000]) await failureOf(Promise.resolve(taker(stalled(declared), true)));
    const chunked = { 'transfer-encoding': 'chunked' };
    expect(requestProblems.is(await failureOf(Promise.resolve(taker(sent(3 * MIB, chunked), true))), 'too-large')).toBe(
      true,
    );
    (await taker(sent(2 * MIB), true)).release();
    const whole = await taker(sent(MIB), true);
    expect(isInMemory(whole)).toBe(true);
    whole.release();
  });
});
