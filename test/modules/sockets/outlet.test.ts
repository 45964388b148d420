import { expect, test } from 'bun:test';
import { plainEncoder } from '../../../src/modules/sockets/centrifugo-protocol.ts';
import { type Encoder, Outlet, type OutletHost, type Subscription } from '../../../src/modules/sockets/outlet.ts';
import { pusherEncoder } from '../../../src/modules/sockets/pusher-protocol.ts';
import type { Socket } from '../../../src/ports/sockets.ts';
import { eventually } from '../../support/eventually.ts';

/** An outlet whose group keeps its frames, each with the number of members that got it. */
function openOutlet(encoder: Encoder, memberCount: number) {
  const frames: { frame: string; members: number; except?: string }[] = [];
  const counted: number[] = [];
  const excepted = { publish: (_group: string, frame: string) => frames.push({ frame, members: -1 }) };
  const host: OutletHost = {
    groups: { publish: (_group, frame) => frames.push({ frame, members: outlet.members.size }) },
    findSocket: (id) => (id === 'sender' ? (excepted as unknown as Socket) : null),
    onFanOut: (_bytes, members) => counted.push(members),
  };
  const outlet = new Outlet(host, encoder, 'x');
  const member = (): Subscription => ({
    topic: 'x',
    channel: 'x',
    encoder,
    socket: { subscribe: () => undefined, unsubscribe: () => undefined } as unknown as Socket,
    send: () => undefined,
    onLost: () => 'kept',
  });
  for (let index = 0; index < memberCount; index++) outlet.add(member());
  let offset = 0;
  const publish = (except?: string) =>
    outlet.publish({ data: '{}', offset: ++offset, at: 0, ...(except === undefined ? {} : { except }) });
  const offsets = () => frames.map(({ frame }) => frame.match(/(?<="offset":)\d+/g)?.map(Number) ?? []);
  return { outlet, frames, counted, member, publish, offsets };
}

test('few members are told at once, each message in a frame of its own', () => {
  const { publish, offsets } = openOutlet(plainEncoder, 100);
  for (let index = 0; index < 3; index++) publish();
  expect(offsets()).toEqual([[1], [2], [3]]);
});

test('many members are told together what comes in one turn, and then what comes within a moment', async () => {
  const { publish, frames, counted, offsets } = openOutlet(plainEncoder, 10_000);
  for (let index = 0; index < 2; index++) publish();
  expect(offsets()).toEqual([]);
  await eventually(() => frames.length === 1);
  publish();
  await new Promise((resolve) => setImmediate(resolve));
  publish();
  await eventually(() => frames.length === 2);
  expect(offsets()).toEqual([
    [1, 2],
    [3, 4],
  ]);
  for (const { frame } of frames) for (const line of frame.split('\n')) expect(JSON.parse(line)).toHaveProperty('push');
  expect(counted).toEqual([10_000, 10_000, 10_000, 10_000]);
});

test('who comes is not told what was before, who goes is', () => {
  const { outlet, publish, frames, member } = openOutlet(plainEncoder, 10_000);
  publish();
  const late = member();
  outlet.add(late);
  expect(frames.map(({ members }) => members)).toEqual([10_000]);
  publish();
  outlet.remove(late);
  expect(frames.map(({ members }) => members)).toEqual([10_000, 10_001]);
});

test('a message that leaves somebody out keeps its place', () => {
  const { publish, offsets, frames } = openOutlet(plainEncoder, 10_000);
  for (const except of [undefined, undefined, 'sender']) publish(except);
  expect(offsets()).toEqual([[1, 2], [3]]);
  expect(frames[1]?.members).toBe(-1);
});

test('what waits is bounded', () => {
  const { outlet, frames } = openOutlet(plainEncoder, 10_000);
  const data = JSON.stringify('x'.repeat(10_000));
  for (let offset = 1; offset <= 5; offset++) outlet.publish({ data, offset, at: 0 });
  expect(frames.map(({ frame }) => frame.split('\n').length)).toEqual([4]);
});

test('a wire that knows no batches gets every message as a frame', async () => {
  const { publish, frames } = openOutlet(pusherEncoder, 10_000);
  for (let index = 0; index < 3; index++) publish();
  await eventually(() => frames.length === 3);
  for (const { frame } of frames) expect(JSON.parse(frame)).toMatchObject({ event: 'message', channel: 'x' });
});
