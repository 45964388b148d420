import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connectCentrifugo, connectWebSocket, publicationsOf } from '../modules/sockets/raw-client.ts';
import { runCli } from '../support/cli.ts';
import { type Call, createClient, PASSWORD, register, signIn } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { startServer, type TestServer } from '../support/server.ts';

const SERVER_KEY = 'a-server-key-that-is-long-enough-for-this';
const ADMIN = { email: 'root@example.org', password: 'the password of root' };
let server: TestServer;
let call: Call;
let websocket: string;
let count = 0;

beforeAll(async () => {
  server = await startServer({
    env: {
      SERVER_KEY,
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      TOPIC_RULES: '{"room.*":{"subscribe":"user","publish":"user"}}',
      PUSHER_APP_ID: 'app',
      PUSHER_APP_KEY: 'key',
      PUSHER_APP_SECRET: 'secret',
    },
  });
  call = createClient(server.url);
  websocket = `${server.url.replace('http', 'ws')}/connection/websocket`;
});
afterAll(() => server[Symbol.asyncDispose]());

const newUser = () => register(call, `user${++count}@example.org`);

describe('with real accounts', () => {
  test('a user hears of their own files and of nobody else’s', async () => {
    const [ada, eve] = [await newUser(), await newUser()];
    const topic = `user.${ada.user.id}`;
    const client = await connectCentrifugo(websocket, ada.access_token);
    const created = await call('PUT', '/api/files/by-name/a.txt', { token: ada.access_token, body: 'hello' });
    await call('PUT', '/api/files/by-name/b.txt', { token: eve.access_token, body: 'hello' });
    const id = created.json['id'] as string;
    await call('DELETE', `/api/files/${id}`, { token: ada.access_token });
    await eventually(() => publicationsOf(client, topic).length === 2);
    expect(publicationsOf(client, topic)).toMatchObject([
      { data: { id }, offset: 1, tags: { event: 'files/created' } },
      { data: { id }, offset: 2, tags: { event: 'files/deleted' } },
    ]);
    client.close();
  });

  test('signing out cuts that login’s connection within a second, and no other', async () => {
    const first = await newUser();
    const second = await signIn(call, first.user.email, PASSWORD);
    const [one, two] = [
      await connectCentrifugo(websocket, first.access_token),
      await connectCentrifugo(websocket, second.access_token),
    ];
    const startedAt = performance.now();
    await call('POST', '/api/auth/logout', { token: first.access_token });
    expect((await one.closed).code).toBe(3500);
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(await two.ask({ ping: {} })).toHaveProperty('ping');
    await call('POST', '/api/auth/logout', { token: second.access_token, json: { everywhere: true } });
    expect((await two.closed).code).toBe(3500);
    const again = await connectWebSocket(websocket);
    again.send({ id: 1, connect: { token: first.access_token } });
    expect((await again.closed).code).toBe(3500);
  });

  test('a change of role cuts the connections that rested on the old one', async () => {
    const user = await newUser();
    const client = await connectCentrifugo(websocket, user.access_token);
    const admin = await signIn(call, ADMIN.email, ADMIN.password);
    await call('PATCH', `/api/users/${user.user.id}`, { token: admin.access_token, json: { role: 'admin' } });
    expect((await client.closed).code).toBe(3500);
  });

  test('disabling an account from the command line cuts its connections within a second, and no others', async () => {
    const [ada, bob] = [await newUser(), await newUser()];
    const client = await connectCentrifugo(websocket, ada.access_token);
    const other = await connectCentrifugo(websocket, bob.access_token);
    const { code } = await runCli(['user', 'disable', ada.user.email], {
      cwd: server.dataDir,
      env: { DATA_DIR: server.dataDir },
    });
    const disabledAt = performance.now();
    expect(code).toBe(0);
    expect((await client.closed).code).toBe(3500);
    expect(performance.now() - disabledAt).toBeLessThan(1000);
    expect(await other.ask({ ping: {} })).toHaveProperty('ping');
    other.close();
  });

  test('the rules of TOPIC_RULES are in force', async () => {
    const client = await connectCentrifugo(websocket, (await newUser()).access_token);
    expect(await client.ask({ subscribe: { channel: 'room.one' } })).toHaveProperty('subscribe');
    expect(await client.ask({ publish: { channel: 'room.one', data: 1 } })).toMatchObject({ publish: { offset: 1 } });
    expect(await client.ask({ presence: { channel: 'room.one' } })).toMatchObject({ error: { code: 103 } });
    client.close();
  });
});

describe('publishing over HTTP', () => {
  test('is for admins and servers, and answers with the position', async () => {
    const { access_token: token } = await newUser();
    const message = { topic: 'public.http', name: 'n', data: { a: 1 } };
    expect((await call('POST', '/api/sockets/publish', { json: message })).status).toBe(401);
    expect((await call('POST', '/api/sockets/publish', { token, json: message })).status).toBe(403);
    const answer = await call('POST', '/api/sockets/publish', { token: SERVER_KEY, json: message });
    expect(answer.json).toEqual({ offset: 1, epoch: expect.any(String) });
    const admin = await signIn(call, ADMIN.email, ADMIN.password);
    expect(
      (await call('POST', '/api/sockets/publish', { token: admin.access_token, json: message })).json['offset'],
    ).toBe(2);
  });

  test('publishes once for one idempotency key', async () => {
    const json = { topic: 'public.once', data: 1, idempotencyKey: 'key' };
    const first = await call('POST', '/api/sockets/publish', { token: SERVER_KEY, json });
    const second = await call('POST', '/api/sockets/publish', { token: SERVER_KEY, json });
    expect(second.json).toEqual(first.json);
    expect(
      (await call('POST', '/api/sockets/publish', { token: SERVER_KEY, json: { ...json, topic: 'public.other' } }))
        .json['offset'],
    ).toBe(1);
  });

  test.each<[string, object, number]>([
    ['no topic', { data: 1 }, 422],
    ['a topic with NUL', { topic: 'a\u0000', data: 1 }, 422],
    ['a topic of 300 characters', { topic: 'x'.repeat(300), data: 1 }, 422],
    ['data past 64 KiB', { topic: 'public.x', data: 'x'.repeat(64 * 1024) }, 413],
  ])('refuses %s', async (_what, json, status) => {
    expect((await call('POST', '/api/sockets/publish', { token: SERVER_KEY, json })).status).toBe(status);
  });
});

describe('the event stream', () => {
  test('sends what a plain EventSource can read', async () => {
    const { access_token: token, user } = await newUser();
    const connect = JSON.stringify({ token, subs: { 'public.stream': {} } });
    const response = await fetch(`${server.url}/connection/uni_sse?cf_connect=${encodeURIComponent(connect)}`);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    const until = async (pattern: RegExp) => {
      while (!pattern.test(text)) text += new TextDecoder().decode((await reader.read()).value);
    };
    await until(/\n\n/);
    const first = JSON.parse(text.slice('data: '.length, text.indexOf('\n')));
    expect(Object.keys(first.connect.subs)).toEqual(['public.stream', `user.${user.id}`]);
    await call('POST', '/api/sockets/publish', { token: SERVER_KEY, json: { topic: 'public.stream', data: { a: 1 } } });
    await until(/"pub"/);
    expect(text).toContain('data: {"channel":"public.stream","pub":{"data":{"a":1},"offset":1}}\n\n');
    await call('POST', '/api/auth/logout', { token });
    await until(/"disconnect":\{"code":3500/);
    expect((await reader.read()).done).toBe(true);
  });

  test.each<[string, string, number]>([
    ['a topic that is not for anonymous callers', '{"subs":{"user.x":{}}}', 403],
    ['a token that is none', '{"token":"x.y.z"}', 401],
    ['half JSON', '{"tok', 400],
  ])('refuses %s with a status', async (_what, connect, status) => {
    expect((await call('GET', `/connection/uni_sse?cf_connect=${encodeURIComponent(connect)}`)).status).toBe(status);
  });
});

test('an admin sees connections, topics and rates; others do not', async () => {
  const client = await connectCentrifugo(websocket, (await newUser()).access_token);
  const { json } = await call('GET', '/api/sockets', { token: SERVER_KEY });
  expect(json).toMatchObject({
    connections: { byWire: { centrifugo: expect.any(Number) } },
    topics: { items: expect.any(Array) },
  });
  expect((await call('GET', '/api/sockets')).status).toBe(401);
  const { text } = await call('GET', '/metrics', { token: SERVER_KEY });
  for (const name of ['connections', 'closes_total', 'fanout_lag_seconds', 'queue_bytes'])
    expect(text).toContain(`bunkhouse_socket_${name}`);
  client.close();
});

test('a process without sockets has neither their routes nor their wires', async () => {
  await using other = await startServer({ env: { SERVERS: 'auth' } });
  await expect(connectWebSocket(`${other.url.replace('http', 'ws')}/connection/websocket`)).rejects.toThrow();
  expect((await createClient(other.url)('GET', '/api/sockets')).status).toBe(404);
});

test('a stop closes connections with the code for a restart, ends streams and leaves with 0', async () => {
  await using other = await startServer();
  const url = other.url.replace('http', 'ws');
  const client = await connectCentrifugo(`${url}/connection/websocket`);
  const stream = await fetch(`${other.url}/connection/uni_sse`);
  const [code, closed, text] = await Promise.all([other.stop(), client.closed, stream.text()]);
  expect([code, closed.code]).toEqual([0, 3001]);
  expect(text).toContain('"disconnect":{"code":3001');
});

test('no token is in the log, and nothing went wrong unexpectedly', async () => {
  const { access_token: token } = await newUser();
  const client = await connectCentrifugo(websocket, token);
  client.close();
  const output = server.output();
  expect(output).not.toContain(token);
  expect(output).not.toContain(SERVER_KEY);
  expect(output).not.toContain('"level":"error"');
});
