import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  connectRealtime,
  type Realtime,
  type RealtimeOptions,
  type RealtimeState,
} from '../../../src/client/realtime.ts';
import { eventually } from '../../support/eventually.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { openSockets, type SocketHouse } from './support.ts';

interface Topics extends Record<string, unknown> {
  'public.news': { readonly n: number };
  'room.one': string;
  'user.ada': unknown;
}

let house: SocketHouse;
let clients: Realtime<Topics>[] = [];
beforeEach(async () => {
  house = await openSockets({
    rules: { 'room.*': { subscribe: 'user', publish: 'user', presence: 'user' } },
    rpc: async ({ method, data }) => (method === 'double' ? { data: Number(data) * 2 } : null),
  });
});
afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  expect(house.faults()).toEqual([]);
  await house[Symbol.asyncDispose]();
});

function open(options: Partial<RealtimeOptions> = {}) {
  const states: RealtimeState[] = [];
  const client = connectRealtime<Topics>({
    url: house.websocketUrl,
    onState: (state) => states.push(state),
    ...options,
  });
  clients.push(client);
  return { client, states };
}

test('gets every message once across a lost connection, and the past in the right place', async () => {
  await using network = await startTcpProxy({ targetPort: house.port });
  const url = `${network.url.replace(/^\w+/, 'ws')}/connection/websocket`;
  const { client, states } = open({ url, getToken: () => house.token('ada') });
  const got: number[] = [];
  client.subscribe('public.news', {
    onMessage: ({ data, offset }) => got.push(data.n, offset),
    onGap: () => got.push(-1),
  });
  await eventually(() => states.includes('open'));
  await client.rpc('double', 1);
  await house.publish('public.news', { n: 1 });
  await eventually(() => got.length === 2);
  network.cut();
  await eventually(() => states.at(-1) === 'connecting');
  await house.publish('public.news', { n: 2 });
  await house.publish('public.news', { n: 3 });
  network.restore();
  await eventually(() => got.length === 6);
  expect(got).toEqual([1, 1, 2, 2, 3, 3]);
});

test('publishes, calls, sees who is there, and passes on what is refused', async () => {
  const [ada, bob] = [open({ getToken: () => house.token('ada') }), open({ getToken: async () => house.token('bob') })];
  const got: string[] = [];
  ada.client.subscribe('room.one', {
    onMessage: ({ data }) => got.push(data),
    onJoin: ({ user }) => got.push(`+${user}`),
    onLeave: ({ user }) => got.push(`-${user}`),
  });
  expect(await ada.client.rpc('double', 21)).toBe(42);
  const leave = bob.client.subscribe('room.one', {});
  await eventually(() => got.includes('+bob'));
  await bob.client.publish('room.one', 'hello');
  await eventually(() => got.includes('hello'));
  const present = await ada.client.presence('room.one');
  expect(present.map(({ user, info }) => [user, info])).toEqual(
    expect.arrayContaining([
      ['ada', { name: 'Name of ada' }],
      ['bob', { name: 'Name of bob' }],
    ]),
  );
  leave();
  await eventually(() => got.includes('-bob'));
  await expect(bob.client.publish('public.news', { n: 1 })).rejects.toMatchObject({ code: 103 });
  const ended = new Promise((resolve) => bob.client.subscribe('user.ada', { onEnd: resolve }));
  expect(await ended).toMatchObject({ code: 103 });
});

test('stays closed when its login has ended', async () => {
  const { states } = open({ getToken: () => house.token('ada') });
  await eventually(() => states.includes('open'));
  house.events.emit('auth/sessions-revoked', { userId: 'ada', sessionId: null });
  await eventually(() => states.includes('closed'));
  expect(states).toEqual(['connecting', 'open', 'closed']);
});

test('asks for another token when one has ended', async () => {
  const tokens = [house.token('ada', { expiresIn: -5 }), house.token('ada')];
  const { client } = open({ getToken: () => tokens.shift() ?? null });
  expect(await client.rpc('double', 2)).toBe(4);
  expect(tokens).toEqual([]);
});
