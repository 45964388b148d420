import { expect, test } from 'bun:test';
import { readBody } from '../../../src/modules/uploads/incoming.ts';
import { uploadProblems } from '../../../src/modules/uploads/problems.ts';
import { createTurns, type Turn } from '../../../src/modules/uploads/turns.ts';
import { failureOf } from '../../contracts/object-store.ts';

const MIB = 2 ** 20;

/** Asks, and notes in `begun` when it may read. */
function ask(turn: Turn, name: string, begun: string[]): Promise<void> {
  return Promise.resolve(turn.ask()).then(() => void begun.push(name));
}

test('so many read at once; the next goes on when one is over, in the order of asking', async () => {
  const openTurn = createTurns(1);
  const [first, second, third] = [openTurn(), openTurn(), openTurn()];
  const begun: string[] = [];
  await ask(first, 'first', begun);
  const others = [ask(second, 'second', begun), ask(third, 'third', begun)];
  first.came(10);
  expect(begun).toEqual(['first']);
  first.end();
  await others[0];
  expect(begun).toEqual(['first', 'second']);
  second.came(10);
  second.end();
  await others[1];
  third.end();
});

test('a fast stream lets others read after some megabytes, and goes on after them', async () => {
  const openTurn = createTurns(1);
  const [fast, other] = [openTurn(), openTurn()];
  const begun: string[] = [];
  await ask(fast, 'fast', begun);
  fast.came(7 * MIB);
  await ask(fast, 'fast', begun);
  const waiting = ask(other, 'other', begun);
  fast.came(MIB);
  await waiting;
  const again = ask(fast, 'fast again', begun);
  expect(begun).toEqual(['fast', 'fast', 'other']);
  other.came(1);
  other.end();
  await again;
  fast.end();
});

test('silent clients lose their turn to those who wait, and what they bring later is taken', async () => {
  const openTurn = createTurns(2);
  const silent = [openTurn(), openTurn()];
  for (const turn of silent) expect(turn.ask()).toBeUndefined();
  const busy = openTurn();
  await busy.ask();
  busy.came(5);
  busy.end();
  for (const turn of silent) turn.came(5);
  for (const turn of silent) expect(turn.ask()).toBeUndefined();
});

test('a stream whose bytes are held up loses its turn, too, but not at once', async () => {
  const openTurn = createTurns(1);
  const heldUp = openTurn();
  await heldUp.ask();
  heldUp.came(10);
  const startedAt = performance.now();
  const other = openTurn();
  await other.ask();
  expect(performance.now() - startedAt).toBeGreaterThan(40);
  other.end();
});

test('a body that is given up while it waits ends, and takes nobody’s turn', async () => {
  const openTurn = createTurns(1);
  const first = openTurn();
  await first.ask();
  first.came(1);
  const given = readBody(new Response('content').body, { turn: openTurn() })[Symbol.asyncIterator]();
  const next = given.next();
  await given.return?.();
  expect(await next).toEqual({ done: true, value: undefined });
  first.end();
  const [second, third] = [openTurn(), openTurn()];
  expect(second.ask()).toBeUndefined();
  expect(third.ask()).toBeInstanceOf(Promise);
  third.end();
  second.end();
});

test('clients that bring a little all the time keep nobody waiting', async () => {
  const openTurn = createTurns(2);
  const slow = [openTurn(), openTurn()];
  for (const turn of slow) expect(turn.ask()).toBeUndefined();
  const trickle = setInterval(() => {
    for (const turn of slow) {
      turn.came(1);
      void turn.ask();
    }
  }, 1);
  const other = openTurn();
  await other.ask();
  clearInterval(trickle);
  for (const turn of [other, ...slow]) turn.end();
});

test('a turn ends after a moment, however much comes', async () => {
  const openTurn = createTurns(1);
  const fast = openTurn();
  expect(fast.ask()).toBeUndefined();
  fast.came(7 * MIB);
  void fast.ask();
  const other = openTurn();
  await other.ask();
  other.end();
  fast.end();
});

test('a body whose client goes away does not wait for its turn, and what came before is read', async () => {
  const openTurn = createTurns(1);
  const first = openTurn();
  await first.ask();
  first.came(1);
  const client = new AbortController();
  const content = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(3)),
    pull: (controller) => controller.error(new Error('gone')),
  });
  const body = readBody(content, { turn: openTurn(), signal: client.signal })[Symbol.asyncIterator]();
  const next = body.next();
  client.abort();
  // Before any look at the first one, which keeps its turn.
  expect((await next).value).toHaveLength(3);
  expect(uploadProblems.is(await failureOf(body.next()), 'interrupted')).toBe(true);
  expect(openTurn().ask()).toBeInstanceOf(Promise);
  first.end();
});
