import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Centrifuge, type Options, type SubscribedContext, type SubscriptionOptions } from 'centrifuge';
import { eventually } from '../../support/eventually.ts';
import { openSockets, type SocketHouse } from './support.ts';

/** The unmodified `centrifuge` client against the real listener. */
let house: SocketHouse;
let clients: Centrifuge[] = [];
let lines: WebSocket[] = [];

beforeEach(async () => {
  house = await openSockets({
    rules: { 'room.*': { subscribe: 'user', publish: 'user', presence: 'user', history: 'user' } },
    rpc: async ({ method, data, caller }) => (method === 'echo' ? { data: { data, user: caller?.id } } : null),
  });
});
afterEach(async () => {
  for (const client of clients) client.disconnect();
  clients = [];
  lines = [];
  expect(house.faults()).toEqual([]);
  await house[Symbol.asyncDispose]();
});

/** Lets a test cut the line as a lost network would. */
class Line extends WebSocket {
  constructor(...args: ConstructorParameters<typeof WebSocket>) {
    super(...args);
    lines.push(this);
  }
}

async function connect(token?: string, options: Partial<Options> = {}): Promise<Centrifuge> {
  const client = new Centrifuge(house.websocketUrl, {
    websocket: Line,
    minReconnectDelay: 10,
    maxReconnectDelay: 20,
    ...(token === undefined ? {} : { token }),
    ...options,
  });
  client.on('error', () => undefined);
  clients.push(client);
  client.connect();
  await client.ready();
  return client;
}

async function listen(client: Centrifuge, channel: string, options: Partial<SubscriptionOptions> = {}) {
  const subscription = client.newSubscription(channel, options);
  const got: unknown[] = [];
  const contexts: SubscribedContext[] = [];
  subscription.on('publication', ({ data }) => got.push(data));
  subscription.on('subscribed', (context) => contexts.push(context));
  subscription.on('error', () => undefined);
  subscription.subscribe();
  await subscription.ready();
  return { subscription, got, contexts };
}

async function cut(): Promise<void> {
  const line = lines.at(-1);
  line?.close();
  await eventually(() => line?.readyState === WebSocket.CLOSED);
}

describe('the centrifuge client', () => {
  test('gets every message in order, with its name as a tag and its offset', async () => {
    const { subscription, got } = await listen(await connect(), 'public.news');
    const details: unknown[] = [];
    subscription.on('publication', ({ tags, offset }) => details.push([tags?.['event'], offset]));
    for (let index = 0; index < 100; index++) await house.publish('public.news', index, 'tick');
    await eventually(() => got.length === 100);
    expect(got).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(details.at(-1)).toEqual(['tick', 100]);
  });

  test('recovers what it missed, and nothing twice', async () => {
    const client = await connect();
    const { got, contexts } = await listen(client, 'public.news');
    await house.publish('public.news', 1);
    await eventually(() => got.length === 1);
    const returned = new Promise((resolve) => client.once('connected', resolve));
    await cut();
    for (const data of [2, 3, 4]) await house.publish('public.news', data);
    await returned;
    await eventually(() => contexts.length === 2);
    await house.publish('public.news', 5);
    await eventually(() => got.length >= 5);
    expect(got).toEqual([1, 2, 3, 4, 5]);
    expect(contexts[1]).toMatchObject({ wasRecovering: true, recovered: true });
  });

  test('is told when not all can be recovered, and gets none of it', async () => {
    const client = await connect();
    const { got, contexts } = await listen(client, 'public.news');
    await house.publish('public.news', 'first');
    await eventually(() => got.length === 1);
    await cut();
    for (let index = 0; index < 1001; index++) await house.publish('public.news', index);
    await eventually(() => contexts.length === 2);
    expect(contexts[1]).toMatchObject({ wasRecovering: true, recovered: false });
    expect(got).toEqual(['first']);
    await house.publish('public.news', 'next');
    await eventually(() => got.length === 2);
    expect(got).toEqual(['first', 'next']);
  });

  test('hears the topic of its user without asking, and recovers it too', async () => {
    const client = await connect(house.token('ada'));
    const got: unknown[] = [];
    client.on('publication', ({ channel, data }) => got.push([channel, data]));
    house.events.emit('files/created', { fileId: 'one', ownerId: 'ada' });
    house.events.emit('files/created', { fileId: 'other', ownerId: 'eve' });
    await eventually(() => got.length === 1);
    const returned = new Promise((resolve) => client.once('connected', resolve));
    await cut();
    house.events.emit('files/deleted', { fileId: 'one', ownerId: 'ada' });
    await returned;
    await eventually(() => got.length === 2);
    expect(got).toEqual([
      ['user.ada', { id: 'one' }],
      ['user.ada', { id: 'one' }],
    ]);
  });

  test('may take over the topic of its user as a subscription of its own', async () => {
    const client = await connect(house.token('ada'));
    const { got } = await listen(client, 'user.ada');
    await house.publish('user.ada', 'hello');
    await eventually(() => got.length > 0);
    expect(got).toEqual(['hello']);
  });

  test('publishes, reads history and calls', async () => {
    const client = await connect(house.token('ada'));
    const { subscription, got } = await listen(client, 'room.one');
    const infos: unknown[] = [];
    subscription.on('publication', ({ info }) => infos.push(info));
    await subscription.publish({ text: 'hi' });
    await eventually(() => got.length === 1);
    expect(infos[0]).toMatchObject({ user: 'ada', connInfo: { name: 'Name of ada' } });
    const page = await subscription.history({ limit: 10 });
    expect(page.publications.map(({ data, offset }) => [data, offset])).toEqual([[{ text: 'hi' }, 1]]);
    await expect(subscription.history({ limit: 1, since: { epoch: 'another', offset: 0 } })).rejects.toMatchObject({
      code: 112,
    });
    expect(await client.rpc('echo', [1])).toEqual({ data: { data: [1], user: 'ada' } });
    await expect(client.rpc('nothing', {})).rejects.toMatchObject({ code: 104 });
  });

  test('sees who is there, who comes and who goes', async () => {
    const [ada, bob] = [await connect(house.token('ada')), await connect(house.token('bob'))];
    const { subscription } = await listen(ada, 'room.one', { joinLeave: true });
    const seen: string[] = [];
    subscription.on('join', ({ info }) => seen.push(`+${info.user}`));
    subscription.on('leave', ({ info }) => seen.push(`-${info.user}`));
    const other = await listen(bob, 'room.one');
    await eventually(() => seen.includes('+bob'));
    const { clients: present } = await subscription.presence();
    expect(
      Object.values(present)
        .map(({ user }) => user)
        .sort(),
    ).toEqual(['ada', 'bob']);
    expect(await subscription.presenceStats()).toMatchObject({ numClients: 2, numUsers: 2 });
    other.subscription.unsubscribe();
    await eventually(() => seen.includes('-bob'));
    expect(await subscription.presenceStats()).toMatchObject({ numClients: 1, numUsers: 1 });
    const third = await connect(house.token('eve'));
    await listen(third, 'room.one');
    third.disconnect();
    await eventually(() => seen.includes('-eve'));
  });

  test.each([
    ['an anonymous client', undefined, 'room.one'],
    ['an anonymous client', undefined, 'user.ada'],
    ['another user', 'eve', 'user.ada'],
    ['a user', 'eve', 'system.logs'],
    ['a user', 'eve', 'anything'],
  ])('%s may not subscribe where it has no right', async (_who, user, channel) => {
    const client = await connect(user === undefined ? undefined : house.token(user));
    const subscription = client.newSubscription(channel);
    const ended = new Promise<{ code: number }>((resolve) => subscription.on('unsubscribed', resolve));
    subscription.subscribe();
    expect((await ended).code).toBe(103);
  });

  test('an admin may subscribe to the topics of the system and of others, and publish anywhere', async () => {
    const client = await connect(house.token('root', { role: 'admin' }));
    await listen(client, 'system.logs');
    await listen(client, 'user.ada');
    await client.publish('nowhere.in.particular', {});
    await expect((await connect(house.token('eve'))).publish('public.news', {})).rejects.toMatchObject({ code: 103 });
  });

  test('fetches another token when its own has ended, and is then served', async () => {
    let fetched = 0;
    const client = await connect(house.token('ada', { expiresIn: -10 }), {
      getToken: async () => {
        fetched++;
        return house.token('ada');
      },
    });
    expect(fetched).toBe(1);
    await listen(client, 'room.one');
  });

  test('refreshes its token before it ends and stays', async () => {
    const client = await connect(house.token('ada', { expiresIn: 2 }), {
      getToken: async () => house.token('ada', { expiresIn: 900 }),
    });
    const sent: string[] = [];
    const line = lines[0] as WebSocket;
    const send = line.send.bind(line);
    line.send = (data) => {
      sent.push(String(data));
      send(data);
    };
    await eventually(() => sent.some((frame) => frame.includes('"refresh"')));
    // Commands are handled in order: after this the new token is in force.
    await client.publish('room.one', 'before');
    house.clock.turn(60_000);
    house.sockets.tick();
    await client.publish('room.one', 'still here');
    expect(lines.length).toBe(1);
  });

  test('is cut for good within a second when its login ends', async () => {
    const [client, other] = [
      await connect(house.token('ada')),
      await connect(house.token('ada', { session: 'another' })),
    ];
    const ended = new Promise<{ code: number }>((resolve) => client.on('disconnected', resolve));
    house.events.emit('auth/sessions-revoked', { userId: 'ada', sessionId: 'session of ada' });
    expect((await ended).code).toBe(3500);
    await other.publish('room.one', 'the other login stands');
  });

  test('comes back by itself after a restart code', async () => {
    const client = await connect();
    const codes: number[] = [];
    client.on('connecting', ({ code }) => codes.push(code));
    await house.sockets.drain();
    await eventually(() => codes.length > 0);
    expect(codes[0]).toBe(3001);
  });

  test('a topic token opens one topic, once refreshed for longer', async () => {
    const { json } = await house.call('POST', '/api/sockets/tokens', {
      token: house.token('root', { role: 'admin' }),
      json: { topic: 'secret', expiresIn: 60 },
    });
    const token = json['token'] as string;
    const client = await connect();
    const { got } = await listen(client, 'secret', { token, getToken: async () => token });
    await house.publish('secret', 1);
    await eventually(() => got.length === 1);
    const elsewhere = client.newSubscription('other', { token });
    const ended = new Promise<{ code: number }>((resolve) => elsewhere.on('unsubscribed', resolve));
    elsewhere.subscribe();
    expect((await ended).code).toBe(103);
  });
});
