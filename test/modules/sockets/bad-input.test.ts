import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { connectCentrifugo, connectWebSocket, publicationsOf } from './raw-client.ts';
import { openSockets, type SocketHouse } from './support.ts';

let house: SocketHouse;
beforeEach(async () => {
  house = await openSockets();
});
afterEach(async () => {
  expect(house.faults()).toEqual([]);
  await house[Symbol.asyncDispose]();
});

/** Somebody who does no wrong, and must not notice. */
async function bystander() {
  const client = await connectCentrifugo(house.websocketUrl);
  await client.ask({ subscribe: { channel: 'public.calm' } });
  return async () => {
    await house.publish('public.calm', 'all is well');
    await client.until(({ push }) => push !== undefined);
    expect(publicationsOf(client, 'public.calm').map(({ data }) => data)).toEqual(['all is well']);
    client.close();
  };
}

describe('a frame that is no protocol closes its connection with a code and harms nobody else', () => {
  test.each([
    ['half JSON', '{"id":1,"subscribe":{"cha', 3501],
    ['no JSON', 'hello', 3501],
    ['a number', '7', 3501],
    ['null', 'null', 3501],
    ['a list', '[]', 3501],
    ['a text id', '{"id":"1","ping":{}}', 3501],
    ['a negative id', '{"id":-1,"ping":{}}', 3501],
    ['a fraction as id', '{"id":1.5,"ping":{}}', 3501],
    ['no id', '{"subscribe":{"channel":"public.x"}}', 3501],
    ['parameters that are no object', '{"id":1,"subscribe":"public.x"}', 3501],
    ['a second connect', '{"id":9,"connect":{}}', 3501],
    ['a frame past the limit', 'x'.repeat(257 * 1024), 3501],
    ['ten megabytes', 'x'.repeat(10 * 1024 * 1024), 1006],
  ])('%s', async (_what, frame, code) => {
    const isCalm = await bystander();
    const client = await connectCentrifugo(house.websocketUrl);
    client.send(frame);
    const closed = await client.closed;
    // Past its own limit the runtime closes by itself, with 1009.
    expect(code === 1006 ? [1006, 1009] : [code]).toContain(closed.code);
    await isCalm();
  });

  test('a command before connect', async () => {
    const client = await connectWebSocket(house.websocketUrl);
    client.send({ id: 1, subscribe: { channel: 'public.x' } });
    expect((await client.closed).code).toBe(3501);
  });

  test('a token that is none', async () => {
    for (const token of ['nonsense', 'a.b.c', '\u0000', 7, {}]) {
      const client = await connectWebSocket(house.websocketUrl);
      client.send({ id: 1, connect: { token } });
      expect((await client.closed).code).toBe(3500);
    }
  });
});

describe('a command that cannot be followed is answered with a code and the connection stays', () => {
  test.each<[string, object, number]>([
    ['an unknown command', { dance: {} }, 104],
    ['no channel', { subscribe: {} }, 107],
    ['a channel that is no text', { subscribe: { channel: 7 } }, 107],
    ['a channel with NUL', { subscribe: { channel: 'public.\u0000' } }, 107],
    ['a channel of 300 characters', { subscribe: { channel: `public.${'x'.repeat(293)}` } }, 107],
    ['half a surrogate pair', { subscribe: { channel: 'public.\ud800' } }, 107],
    ['__proto__ as a channel', { subscribe: { channel: '__proto__' } }, 103],
    ['constructor as a channel', { subscribe: { channel: 'constructor' } }, 103],
    ['a position that is none', { subscribe: { channel: 'public.x', recover: true, offset: -1 } }, 107],
    ['publishing without the right', { publish: { channel: 'public.x', data: {} } }, 103],
    ['presence without the right', { presence: { channel: 'public.x' } }, 103],
    ['history without the right', { history: { channel: 'user.ada' } }, 103],
    ['a limit that is none', { history: { channel: 'public.x', limit: 'all' } }, 107],
    ['an unknown method', { rpc: { method: 'x' } }, 104],
    ['a forged subscription token', { subscribe: { channel: 'secret', token: 'e30.e30.e30' } }, 103],
    ['a refresh of no subscription', { sub_refresh: { channel: 'public.x', token: 'x' } }, 400],
  ])('%s', async (_what, command, code) => {
    const isCalm = await bystander();
    const client = await connectCentrifugo(house.websocketUrl);
    expect(await client.ask(command)).toMatchObject({ error: { code } });
    expect(await client.ask({ ping: {} })).toHaveProperty('ping');
    client.close();
    await isCalm();
  });

  test('subscribing twice', async () => {
    const client = await connectCentrifugo(house.websocketUrl);
    await client.ask({ subscribe: { channel: 'public.x' } });
    expect(await client.ask({ subscribe: { channel: 'public.x' } })).toMatchObject({ error: { code: 105 } });
    await house.publish('public.x', 'once');
    await client.ask({ ping: {} });
    expect(publicationsOf(client, 'public.x').length).toBe(1);
  });

  test('an id that is used again gets its own answer', async () => {
    const client = await connectCentrifugo(house.websocketUrl);
    client.send({ id: 5, ping: {} }, { id: 5, subscribe: { channel: 'public.x' } }, { id: 5, dance: {} });
    await client.until(({ error }) => error !== undefined);
    expect(client.frames.filter(({ id }) => id === 5).length).toBe(3);
  });

  test('more topics than allowed', async () => {
    const client = await connectCentrifugo(house.websocketUrl);
    client.send(
      ...Array.from({ length: 129 }, (_, index) => ({ id: 1000 + index, subscribe: { channel: `public.${index}` } })),
    );
    expect(await client.until(({ id }) => id === 1128)).toMatchObject({ error: { code: 106 } });
    expect(await client.until(({ id }) => id === 1127)).toHaveProperty('subscribe');
  });

  test('a message past 64 KiB', async () => {
    const client = await connectCentrifugo(house.websocketUrl, house.token('root', { role: 'admin' }));
    const data = 'x'.repeat(64 * 1024);
    expect(await client.ask({ publish: { channel: 'public.x', data } })).toMatchObject({ error: { code: 106 } });
  });
});

test('ten thousand commands in one tick get the sender closed, and nobody else', async () => {
  const isCalm = await bystander();
  const client = await connectCentrifugo(house.websocketUrl);
  for (let index = 0; index < 10_000; index++) client.send({ id: 100 + index, ping: {} });
  expect((await client.closed).code).toBe(3013);
  expect(client.frames.some(({ error }) => (error as { code?: number } | undefined)?.code === 111)).toBe(true);
  await isCalm();
});

test('many commands in one frame are answered in order', async () => {
  const client = await connectCentrifugo(house.websocketUrl);
  const commands = Array.from({ length: 100 }, (_, index) =>
    index % 2 === 0 ? { id: 10 + index, subscribe: { channel: `public.${index}` } } : { id: 10 + index, ping: {} },
  );
  client.send(...commands);
  await client.until(({ id }) => id === 109);
  expect(client.frames.slice(1).map(({ id }) => id)).toEqual(commands.map(({ id }) => id));
});
