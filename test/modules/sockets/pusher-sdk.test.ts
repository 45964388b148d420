import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createHmac } from 'node:crypto';
import Echo from 'laravel-echo';
import PusherServer from 'pusher';
import PusherClient, { type Channel, type PresenceChannel } from 'pusher-js';
import { eventually } from '../../support/eventually.ts';
import { connectCentrifugo, connectWebSocket, publicationsOf } from './raw-client.ts';
import { openSockets, type SocketHouse } from './support.ts';

/** The unmodified `pusher-js`, `laravel-echo` and `pusher` libraries against the real listener. */
const APP = { id: 'app', key: 'app-key', secret: 'app-secret' };
let house: SocketHouse;
let server: PusherServer;
let clients: PusherClient[] = [];

beforeEach(async () => {
  house = await openSockets({
    pusher: APP,
    rules: {
      'team.*': { subscribe: 'user', publish: 'user' },
      'presence.team': { publish: 'user' },
    },
  });
  server = new PusherServer({
    appId: APP.id,
    key: APP.key,
    secret: APP.secret,
    host: '127.0.0.1',
    port: String(house.port),
    cluster: '',
  });
});
afterEach(async () => {
  for (const client of clients) client.disconnect();
  clients = [];
  expect(house.faults()).toEqual([]);
  await house[Symbol.asyncDispose]();
});

function open(userId?: string, options = {}): PusherClient {
  const headers = userId === undefined ? {} : { authorization: `Bearer ${house.token(userId)}` };
  const endpoint = `${house.url}/api/sockets/pusher-auth`;
  const client = new PusherClient(APP.key, {
    cluster: '',
    wsHost: '127.0.0.1',
    wsPort: house.port,
    forceTLS: false,
    enabledTransports: ['ws'],
    channelAuthorization: { endpoint, transport: 'ajax', headers },
    userAuthentication: { endpoint, transport: 'ajax', headers },
    ...options,
  });
  clients.push(client);
  return client;
}

async function join<C extends Channel>(client: PusherClient, name: string): Promise<{ channel: C; got: unknown[] }> {
  const channel = client.subscribe(name) as C;
  const got: unknown[] = [];
  channel.bind_global((event: string, data: unknown) => {
    if (!event.startsWith('pusher:')) got.push([event, data]);
  });
  await eventually(() => channel.subscribed);
  return { channel, got };
}

describe('pusher-js', () => {
  test('hears what the server library triggers on public channels, as objects and as texts', async () => {
    const { got } = await join(open(), 'news');
    await server.trigger('news', 'one', { a: 1 });
    await server.trigger('news', 'two', 'plain text');
    await server.trigger('news', 'three', 'line\nbreak');
    await eventually(() => got.length === 3);
    expect(got).toEqual([
      ['one', { a: 1 }],
      ['two', 'plain text'],
      ['three', 'line\nbreak'],
    ]);
  });

  test('shares its topics with the other wire', async () => {
    const { got } = await join(open(), 'news');
    const centrifugo = await connectCentrifugo(house.websocketUrl);
    await centrifugo.ask({ subscribe: { channel: 'public.news' } });
    await server.trigger('news', 'order', { id: 7 });
    await house.publish('public.news', { plain: true });
    await eventually(() => got.length === 2 && publicationsOf(centrifugo, 'public.news').length === 2);
    expect(got).toEqual([
      ['order', { id: 7 }],
      ['message', { plain: true }],
    ]);
    expect(publicationsOf(centrifugo, 'public.news')).toMatchObject([
      { data: { id: 7 }, offset: 1, tags: { event: 'order' } },
      { data: { plain: true }, offset: 2 },
    ]);
  });

  test('joins private channels that the rules open to its user, and no others', async () => {
    const { got } = await join(open('ada'), 'private-team.one');
    await server.trigger('private-team.one', 'hi', {});
    await eventually(() => got.length === 1);
    for (const [user, name] of [
      ['ada', 'private-secret'],
      [undefined, 'private-team.one'],
      ['eve', 'private-user.ada'],
    ] as const) {
      const channel = open(user).subscribe(name);
      const error = new Promise<{ status?: number }>((resolve) => channel.bind('pusher:subscription_error', resolve));
      expect((await error).status, name).toBe(user === undefined ? 401 : 403);
      expect(channel.subscribed).toBe(false);
    }
    await join(open('ada'), 'private-user.ada');
  });

  test('refuses a signature that was made for another socket or with another secret', async () => {
    const url = `${house.url.replace('http', 'ws')}/app/${APP.key}?protocol=7`;
    const [first, second] = [await connectWebSocket(url), await connectWebSocket(url)];
    const { data } = await first.until(({ event }) => event === 'pusher:connection_established');
    const socketId = JSON.parse(data as string).socket_id as string;
    const sign = (secret: string) =>
      `${APP.key}:${createHmac('sha256', secret).update(`${socketId}:private-team.one`).digest('hex')}`;
    const subscribe = (auth: unknown) => ({ event: 'pusher:subscribe', data: { channel: 'private-team.one', auth } });
    for (const auth of [sign('another'), sign(APP.secret).slice(0, -1), '', 7]) first.send(subscribe(auth));
    second.send(subscribe(sign(APP.secret)));
    await eventually(() => first.frames.length === 5 && second.frames.length === 2);
    const events = [...first.frames.slice(1), ...second.frames.slice(1)].map(({ event }) => event);
    expect(new Set(events)).toEqual(new Set(['pusher:subscription_error']));
    first.send(subscribe(sign(APP.secret)));
    await first.until(({ event }) => event === 'pusher_internal:subscription_succeeded');
  });

  test('knows who is present: users, not connections', async () => {
    const first = await join<PresenceChannel>(open('ada'), 'presence-team');
    expect(first.channel.members.count).toBe(1);
    expect(first.channel.members.me).toMatchObject({ id: 'ada', info: { name: 'Name of ada' } });
    const changes: string[] = [];
    first.channel.bind('pusher:member_added', ({ id }: { id: string }) => changes.push(`+${id}`));
    first.channel.bind('pusher:member_removed', ({ id }: { id: string }) => changes.push(`-${id}`));
    const [bobOne, bobTwo] = [open('bob'), open('bob')];
    await join(bobOne, 'presence-team');
    const second = await join<PresenceChannel>(bobTwo, 'presence-team');
    expect(second.channel.members.count).toBe(2);
    await eventually(() => changes.length === 1);
    bobOne.disconnect();
    await join(open('eve'), 'presence-team');
    bobTwo.disconnect();
    await eventually(() => changes.length === 3);
    expect(changes).toEqual(['+bob', '+eve', '-bob']);
    expect(first.channel.members.count).toBe(2);
  });

  test('sends client events to the others, with its user on presence channels', async () => {
    const [ada, bob] = [await join(open('ada'), 'presence-team'), await join(open('bob'), 'presence-team')];
    const metadata: unknown[] = [];
    bob.channel.bind('client-typing', (_data: unknown, given: unknown) => metadata.push(given));
    ada.channel.trigger('client-typing', { on: true });
    await eventually(() => metadata.length === 1);
    expect(metadata).toEqual([{ user_id: 'ada' }]);
    await server.trigger('presence-team', 'end', {});
    await eventually(() => ada.got.some((entry) => (entry as unknown[])[0] === 'end'));
    expect(ada.got.map((entry) => (entry as unknown[])[0])).not.toContain('client-typing');
  });

  test('is told when client events are not allowed', async () => {
    const client = open('ada');
    const errors: unknown[] = [];
    client.connection.bind('error', ({ data }: { data?: { code: number } }) => errors.push(data?.code));
    const { channel } = await join(client, 'private-user.ada');
    channel.trigger('client-x', {});
    await eventually(() => errors.length === 1);
    const open2 = await join(client, 'news');
    open2.channel.trigger('client-x', {});
    client.send_event('client-x', {}, 'private-team.never');
    await eventually(() => errors.length === 3);
    expect(errors).toEqual([4301, 4009, 4009]);
  });

  test('gets the last message of a cache channel, or hears that there is none', async () => {
    const empty = open().subscribe('cache-empty');
    await new Promise((resolve) => empty.bind('pusher:cache_miss', resolve));
    await server.trigger('cache-news', 'old', 1);
    await server.trigger('cache-news', 'last', 2);
    const { got } = await join(open(), 'cache-news');
    await eventually(() => got.length === 1);
    expect(got).toEqual([['last', 2]]);
  });

  test('signs in, is reached as a user, and can be cut off', async () => {
    const client = open('ada');
    const got: unknown[] = [];
    client.user.bind('hello', (data: unknown) => got.push(data));
    client.signin();
    await eventually(() => client.user.user_data !== null);
    await eventually(async () => {
      if (got.length === 0) await server.sendToUser('ada', 'hello', { n: 1 });
      return got.length > 0;
    });
    expect(got[0]).toEqual({ n: 1 });
    await server.terminateUserConnections('ada');
    await eventually(() => client.connection.state === 'disconnected' || client.connection.state === 'failed');
  });

  test.each<[string, (client: PusherClient) => Promise<unknown>]>([
    ['a private channel', (client) => join(client, 'private-team.one')],
    ['a presence channel', (client) => join(client, 'presence-team')],
    [
      'being signed in',
      async (client) => {
        client.signin();
        await eventually(() => client.user.user_data !== null);
      },
    ],
  ])('is cut when the login ends that %s rests on, and not by the end of another', async (_what, use) => {
    const client = open('ada');
    await use(client);
    house.events.emit('auth/sessions-revoked', { userId: 'ada', sessionId: 'another session' });
    house.events.emit('auth/sessions-revoked', { userId: 'eve', sessionId: null });
    await server.trigger('news', 'x', {});
    expect(client.connection.state).toBe('connected');
    house.events.emit('auth/sessions-revoked', { userId: 'ada', sessionId: 'session of ada' });
    await eventually(() => client.connection.state !== 'connected');
  });

  test('stays when the login ends of somebody who looked at a public channel only', async () => {
    const client = open('ada');
    await join(client, 'news');
    house.events.emit('auth/sessions-revoked', { userId: 'ada', sessionId: null });
    const { got } = await join(client, 'more');
    await server.trigger('more', 'x', {});
    await eventually(() => got.length === 1);
    expect(client.connection.state).toBe('connected');
  });

  test('comes back by itself after a restart code', async () => {
    const client = open();
    const states: string[] = [];
    await eventually(() => client.connection.state === 'connected');
    client.connection.bind('state_change', ({ current }: { current: string }) => states.push(current));
    await house.sockets.drain();
    await eventually(() => states.includes('connecting'));
  });

  test('is sent away for good with another key', async () => {
    const socket = await connectWebSocket(`${house.url.replace('http', 'ws')}/app/another?protocol=7`);
    expect((await socket.closed).code).toBe(4001);
  });
});

test('laravel-echo as `reverb` listens, joins private channels, whispers and sees who is here', async () => {
  const openEcho = (user: string) =>
    new Echo({
      broadcaster: 'reverb',
      Pusher: PusherClient,
      key: APP.key,
      wsHost: '127.0.0.1',
      wsPort: house.port,
      forceTLS: false,
      enabledTransports: ['ws'],
      authEndpoint: `${house.url}/api/sockets/pusher-auth`,
      auth: { headers: { authorization: `Bearer ${house.token(user)}` } },
    } as never) as Echo<'reverb'>;
  const [echo, other] = [openEcho('ada'), openEcho('bob')];
  clients.push(echo.connector.pusher as PusherClient, other.connector.pusher as PusherClient);
  const got: unknown[] = [];
  const hear = (data: unknown) => got.push(data);
  echo.channel('orders').listen('.shipped', hear).listen('OrderCreated', hear);
  echo.private('team.one').listen('.hello', hear).listenForWhisper('typing', hear);
  const here = await new Promise<{ name: string }[]>((resolve) => echo.join('team').here(resolve));
  expect(here).toEqual([{ name: 'Name of ada' }]);
  const joining = new Promise<{ name: string }>((resolve) => echo.join('team').joining(resolve));
  other.join('team');
  expect(await joining).toEqual({ name: 'Name of bob' });
  const isSubscribed = (of: Echo<'reverb'>, name: string) =>
    (of.connector.pusher as PusherClient).channel(name)?.subscribed === true;
  const whisperer = other.private('team.one');
  await eventually(
    () =>
      isSubscribed(echo, 'orders') && isSubscribed(echo, 'private-team.one') && isSubscribed(other, 'private-team.one'),
  );
  await server.trigger('orders', 'shipped', { id: 1 });
  await server.trigger('orders', 'App\\Events\\OrderCreated', { id: 2 });
  await server.trigger('private-team.one', 'hello', { id: 3 });
  await eventually(() => got.length === 3);
  whisperer.whisper('typing', { id: 4 });
  await eventually(() => got.length === 4);
  expect(got).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }]);
  expect(echo.socketId()).toMatch(/^\d+\.\d+$/);
});

describe('the server library', () => {
  test('excludes a socket, publishes to many channels and in batches', async () => {
    const [one, two] = [open(), open()];
    const [left, right] = [await join(one, 'news'), await join(two, 'news')];
    await server.trigger(['news', 'other'], 'only-right', {}, { socket_id: one.connection.socket_id });
    await server.triggerBatch([
      { channel: 'news', name: 'a', data: {} },
      { channel: 'news', name: 'b', data: {} },
    ]);
    await eventually(() => left.got.length === 2 && right.got.length === 3);
    expect(left.got.map((entry) => (entry as unknown[])[0])).toEqual(['a', 'b']);
  });

  test('asks about channels and their users', async () => {
    await join(open('ada'), 'presence-team');
    await join(open(), 'news');
    const get = async (path: string, params = {}) => (await server.get({ path, params })).json();
    expect(await get('/channels')).toEqual({ channels: { 'presence-team': {}, news: {} } });
    expect(await get('/channels', { filter_by_prefix: 'presence-', info: 'user_count' })).toEqual({
      channels: { 'presence-team': { user_count: 1 } },
    });
    expect(await get('/channels/news', { info: 'subscription_count' })).toEqual({
      occupied: true,
      subscription_count: 1,
    });
    expect(await get('/channels/nobody')).toEqual({ occupied: false });
    expect(await get('/channels/presence-team/users')).toEqual({ users: [{ id: 'ada' }] });
    await expect(server.get({ path: '/channels/news/users' })).rejects.toMatchObject({ status: 400 });
  });

  test.each<[string, Partial<{ key: string; secret: string; appId: string }>, number]>([
    ['another secret', { secret: 'wrong' }, 401],
    ['another key', { key: 'wrong' }, 401],
    ['another app', { appId: 'wrong' }, 404],
  ])('is refused with %s', async (_what, change, status) => {
    const wrong = new PusherServer({
      appId: APP.id,
      key: APP.key,
      secret: APP.secret,
      host: '127.0.0.1',
      port: String(house.port),
      cluster: '',
      ...change,
    });
    await expect(wrong.trigger('news', 'x', {})).rejects.toMatchObject({ status });
  });

  const signed = (
    path: string,
    body: string,
    timestamp: number,
    md5 = new Bun.CryptoHasher('md5').update(body).digest('hex'),
  ) => {
    const query = `auth_key=${APP.key}&auth_timestamp=${timestamp}&auth_version=1.0&body_md5=${md5}`;
    const signature = createHmac('sha256', APP.secret).update(`POST\n${path}\n${query}`).digest('hex');
    return `${path}?${query}&auth_signature=${signature}`;
  };
  const now = () => Math.floor(house.clock.now() / 1000);
  const event = JSON.stringify({ name: 'x', channel: 'news', data: '{}' });
  test.each<[string, () => [string, string], number]>([
    ['an old timestamp', () => [signed('/apps/app/events', event, now() - 601), event], 401],
    ['a body that is not the signed one', () => [signed('/apps/app/events', event, now()), `${event} `], 401],
    ['no signature', () => ['/apps/app/events', event], 401],
    ['half JSON', () => [signed('/apps/app/events', '{"na', now()), '{"na'], 400],
    [
      'a reserved name',
      () => [
        signed('/apps/app/events', event.replace('"x"', '"pusher:error"'), now()),
        event.replace('"x"', '"pusher:error"'),
      ],
      400,
    ],
    [
      'an invalid channel',
      () => [signed('/apps/app/events', event.replace('news', 'ne ws'), now()), event.replace('news', 'ne ws')],
      400,
    ],
    ['all as it should be', () => [signed('/apps/app/events', event, now()), event], 200],
  ])('answers %s', async (_what, make, status) => {
    const [path, body] = make();
    const answer = await house.call('POST', path, { body, headers: { 'content-type': 'application/json' } });
    expect(answer.status).toBe(status);
  });

  test('is refused a message past the limit', async () => {
    await expect(server.trigger('news', 'x', 'y'.repeat(65 * 1024))).rejects.toThrow();
    const body = JSON.stringify({ name: 'x', channel: 'news', data: 'y'.repeat(65 * 1024) });
    expect((await house.call('POST', signed('/apps/app/events', body, now()), { body })).status).toBe(413);
    const huge = 'z'.repeat(1024 * 1024 + 1);
    expect((await house.call('POST', signed('/apps/app/events', huge, now()), { body: huge })).status).toBe(413);
  });
});
