import { describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { eventually } from '../../support/eventually.ts';
import { connectCentrifugo, connectWebSocket, type RawClient } from './raw-client.ts';
import { openSockets, type SocketHouse } from './support.ts';

/** An upgrade by hand, whose answers nobody reads. */
async function connectDeaf(house: SocketHouse, commands: readonly object[]) {
  const socket = connect(house.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(
    'GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  await new Promise((resolve) => socket.once('data', resolve));
  for (const command of commands) {
    const text = Buffer.from(JSON.stringify(command));
    // A masked text frame with a mask of zeros (RFC 6455 §5.2).
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
    await new Promise((resolve) => socket.once('data', resolve));
  }
  return socket;
}

interface Overview {
  readonly connections: { readonly total: number };
  readonly topics: { readonly items: { readonly topic: string; readonly subscribers: number }[] };
}

async function look(house: SocketHouse): Promise<Overview> {
  const answer = await house.call('GET', '/api/sockets', { token: house.token('root', { role: 'admin' }) });
  return answer.json as unknown as Overview;
}

const total = async (house: SocketHouse) => (await look(house)).connections.total;

describe('who may open a socket', () => {
  test.each<[string, Record<string, string>, boolean]>([
    ['no Origin', {}, true],
    ['the origin of PUBLIC_URL', { origin: 'https://own.example' }, true],
    ['an origin of CORS_ORIGINS', { origin: 'https://friend.example' }, true],
    ['a foreign origin', { origin: 'https://evil.example' }, false],
    ['an origin that starts like ours', { origin: 'https://own.example.evil.example' }, false],
    ['the null origin', { origin: 'null' }, false],
    ['a foreign Host', { host: 'evil.example' }, false],
  ])('with %s', async (_what, headers, isOpen) => {
    await using house = await openSockets({ corsOrigins: ['https://friend.example'] });
    const opened = await connectWebSocket(house.websocketUrl, headers).then(
      (client) => {
        client.close();
        return true;
      },
      () => false,
    );
    expect(opened).toBe(isOpen);
  });

  test('the page of this very host', async () => {
    await using house = await openSockets();
    (await connectWebSocket(house.websocketUrl, { origin: house.url })).close();
  });

  test('a flood of upgrades from one address meets the rate limit', async () => {
    await using house = await openSockets({ policy: { name: 'default', count: 5, windowSeconds: 60 } });
    for (let index = 0; index < 5; index++) await connectWebSocket(house.websocketUrl);
    const headers = {
      upgrade: 'websocket',
      connection: 'upgrade',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
    };
    const answer = await house.call('GET', '/connection/websocket', { headers });
    expect([answer.status, answer.json['code']]).toEqual([429, 'request/rate-limited']);
    expect(answer.headers.get('retry-after')).not.toBeNull();
  });

  test('a plain request is told to upgrade', async () => {
    await using house = await openSockets();
    const answer = await house.call('GET', '/connection/websocket');
    expect([answer.status, answer.json['code']]).toEqual([426, 'sockets/upgrade-required']);
  });

  test('no more connections than allowed, in all and for one user', async () => {
    await using house = await openSockets({ limits: { maxConnections: 4, maxPerUser: 2 } });
    const clients = [
      await connectCentrifugo(house.websocketUrl, house.token('ada')),
      await connectCentrifugo(house.websocketUrl, house.token('ada')),
    ];
    const third = await connectWebSocket(house.websocketUrl);
    third.send({ id: 1, connect: { token: house.token('ada') } });
    expect((await third.closed).code).toBe(3504);
    await eventually(async () => (await total(house)) === 2);
    await connectWebSocket(house.websocketUrl);
    await connectWebSocket(house.websocketUrl);
    await expect(connectWebSocket(house.websocketUrl)).rejects.toThrow();
    clients[0]?.close();
    await eventually(async () => (await total(house)) === 3);
    await connectCentrifugo(house.websocketUrl, house.token('ada'));
  });
});

describe('signs of life', () => {
  test('a client that does not introduce itself is closed', async () => {
    await using house = await openSockets();
    const client = await connectWebSocket(house.websocketUrl);
    await eventually(async () => (await total(house)) === 1);
    house.clock.turn(15_001);
    house.sockets.tick();
    expect(await client.closed).toEqual({ code: 3502, reason: 'stale' });
  });

  test('a client that answers pings stays, one that does not is closed even while it is being sent to', async () => {
    await using house = await openSockets();
    const [lively, dead] = [await connectCentrifugo(house.websocketUrl), await connectCentrifugo(house.websocketUrl)];
    await dead.ask({ subscribe: { channel: 'public.x' } });
    house.clock.turn(25_000);
    house.sockets.tick();
    await lively.until((frame) => Object.keys(frame).length === 0);
    lively.send('{}');
    await lively.ask({ ping: {} });
    await house.publish('public.x', 'sent');
    house.clock.turn(8_001);
    house.sockets.tick();
    expect(await dead.closed).toEqual({ code: 3012, reason: 'no pong' });
    expect(await lively.ask({ ping: {} })).toHaveProperty('ping');
  });

  test('a connection ends when its token does, after a while of grace', async () => {
    await using house = await openSockets();
    const client = await connectCentrifugo(house.websocketUrl, house.token('ada', { expiresIn: 5 }));
    house.clock.turn(20_000);
    house.sockets.tick();
    expect(await client.ask({ ping: {} })).toHaveProperty('ping');
    house.clock.turn(15_000);
    house.sockets.tick();
    expect(await client.closed).toEqual({ code: 3005, reason: 'connection expired' });
  });

  test('a subscription ends when its token does, and the client is told', async () => {
    await using house = await openSockets();
    const { json } = await house.call('POST', '/api/sockets/tokens', {
      token: house.token('root', { role: 'admin' }),
      json: { topic: 'secret', userId: 'ada', expiresIn: 5 },
    });
    const stranger = await connectCentrifugo(house.websocketUrl, house.token('eve'));
    expect(await stranger.ask({ subscribe: { channel: 'secret', token: json['token'] } })).toMatchObject({
      error: { code: 103 },
    });
    const client = await connectCentrifugo(house.websocketUrl, house.token('ada'));
    expect(await client.ask({ subscribe: { channel: 'secret', token: json['token'] } })).toMatchObject({
      subscribe: { expires: true },
    });
    house.clock.turn(20_000);
    house.sockets.tick();
    await client.ask({ ping: {} });
    house.clock.turn(11_000);
    house.sockets.tick();
    const { push } = await client.until(
      ({ push }) => (push as { unsubscribe?: object } | undefined)?.unsubscribe !== undefined,
    );
    expect(push).toEqual({ channel: 'secret', unsubscribe: { code: 2501, reason: 'subscription expired' } });
  });
});

test('a client that does not read is closed at one mebibyte of backlog, and the others have every message', async () => {
  await using house = await openSockets();
  const reader = await connectCentrifugo(house.websocketUrl);
  await reader.ask({ subscribe: { channel: 'public.flood' } });
  const deaf = await connectDeaf(house, [
    { id: 1, connect: {} },
    { id: 2, subscribe: { channel: 'public.flood' } },
  ]);
  deaf.pause();
  await eventually(async () => (await total(house)) === 2);
  const data = 'x'.repeat(32 * 1024);
  let published = 0;
  await eventually(async () => {
    for (let index = 0; index < 8; index++) {
      await house.publish('public.flood', data);
      published++;
    }
    const { items } = (await look(house)).topics;
    return items.some(({ topic, subscribers }) => topic === 'public.flood' && subscribers === 1);
  });
  // It takes no farewell either: it is cut after a while.
  house.clock.turn(6_000);
  house.sockets.tick();
  await eventually(async () => (await total(house)) === 1);
  expect(house.metrics.render()).toContain('bunkhouse_socket_closes_total{wire="centrifugo",code="3008"} 1');
  await eventually(() => reader.frames.filter(({ push }) => push !== undefined).length === published);
  const offsets = reader.frames.flatMap(
    ({ push }) => (push as { pub?: { offset: number } } | undefined)?.pub?.offset ?? [],
  );
  expect(offsets).toEqual(Array.from({ length: published }, (_, index) => index + 1));
  deaf.destroy();
});

test('draining closes everybody with the code for a restart and lets nobody in', async () => {
  await using house = await openSockets();
  const clients = await Promise.all(Array.from({ length: 20 }, () => connectCentrifugo(house.websocketUrl)));
  await house.sockets.drain();
  for (const client of clients) expect(await client.closed).toEqual({ code: 3001, reason: 'shutdown' });
  await expect(connectWebSocket(house.websocketUrl)).rejects.toThrow();
});

test('tokens are in no log line', async () => {
  await using house = await openSockets();
  const token = house.token('ada');
  const client = await connectCentrifugo(house.websocketUrl, token);
  client.send({ id: 9, subscribe: { channel: 'secret', token } });
  await client.until(({ id }) => id === 9);
  expect(JSON.stringify(house.log.lines)).not.toContain(token);
});

test('an event stream that nobody reads is closed at one mebibyte of backlog, too', async () => {
  await using house = await openSockets();
  const subs = encodeURIComponent('{"subs":{"public.flood":{}}}');
  const socket = connect(house.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(`GET /connection/uni_sse?cf_connect=${subs} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  await new Promise((resolve) => socket.once('data', resolve));
  socket.pause();
  const data = 'x'.repeat(32 * 1024);
  await eventually(async () => {
    for (let index = 0; index < 8; index++) await house.publish('public.flood', data);
    return (await total(house)) === 0;
  });
  expect(house.metrics.render()).toContain('bunkhouse_socket_closes_total{wire="sse",code="3008"} 1');
  socket.destroy();
});

test('an event stream whose client has gone is forgotten', async () => {
  await using house = await openSockets();
  const cancel = new AbortController();
  const response = await fetch(`${house.url}/connection/uni_sse`, { signal: cancel.signal });
  await eventually(async () => (await total(house)) === 1);
  cancel.abort();
  await eventually(async () => (await total(house)) === 0);
  expect(response.status).toBe(200);
});

describe('who comes and goes', () => {
  const rules = { 'room.*': { subscribe: 'user', presence: 'user' } } as const;
  const enter = async (house: SocketHouse, user: string) => {
    const client = await connectCentrifugo(house.websocketUrl, house.token(user));
    await client.ask({ subscribe: { channel: 'room.x', join_leave: true } });
    return client;
  };
  const seenBy = ({ frames }: RawClient) =>
    frames.flatMap(({ push }) => {
      const { join, leave } = (push ?? {}) as Record<string, { info: { user: string } } | undefined>;
      return [...(join ? [`+${join.info.user}`] : []), ...(leave ? [`-${leave.info.user}`] : [])];
    });
  const clientsOf = async (watcher: RawClient) => {
    const { presence_stats: stats } = await watcher.ask({ presence_stats: { channel: 'room.x' } });
    return (stats as { num_clients: number }).num_clients;
  };

  test('a client that flaps is not heard of; one that stays away leaves after the grace', async () => {
    await using house = await openSockets({ rules });
    const watcher = await enter(house, 'ada');
    for (let index = 0; index < 5; index++) {
      const bob = await enter(house, 'bob');
      await eventually(async () => (await clientsOf(watcher)) === (index === 0 ? 2 : 3));
      bob.vanish();
      await eventually(async () => (await look(house)).connections.total === 1);
      house.clock.turn(1_000);
    }
    expect(seenBy(watcher)).toEqual(['+bob']);
    house.clock.turn(3_001);
    await eventually(async () => (await clientsOf(watcher)) === 1);
    expect(seenBy(watcher)).toEqual(['+bob', '-bob']);
  });

  test('a client that takes its leave, and one whose login ended, are gone at once', async () => {
    await using house = await openSockets({ rules });
    const watcher = await enter(house, 'ada');
    (await enter(house, 'bob')).close();
    await eventually(() => seenBy(watcher).length === 2);
    await enter(house, 'eve');
    house.events.emit('auth/sessions-revoked', { userId: 'eve', sessionId: null });
    await eventually(() => seenBy(watcher).length === 4);
    expect(seenBy(watcher)).toEqual(['+bob', '-bob', '+eve', '-eve']);
  });
});
