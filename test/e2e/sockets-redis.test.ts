import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connectCentrifugo, publicationsOf } from '../modules/sockets/raw-client.ts';
import { hasRedis, startRedis, type TestRedis } from '../modules/sockets/redis-server.ts';
import { createClient, register } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { startServer, type TestServer } from '../support/server.ts';

const SERVER_KEY = 'a-server-key-that-is-long-enough-for-this';

describe.skipIf(!hasRedis)('two processes that share a Redis', () => {
  let redis: TestRedis;
  let servers: TestServer[] = [];
  const env = { SERVER_KEY, BUNKHOUSE_SECRET: 'one secret for both, long enough for the settings' };
  beforeAll(async () => {
    redis = await startRedis();
    const first = await startServer({ env: { ...env, REDIS_URL: redis.url } });
    servers = [
      first,
      await startServer({ env: { ...env, REDIS_URL: redis.url, DATABASE_URL: `file:${first.dataDir}/main.db` } }),
    ];
    for (const { url } of servers) {
      await eventually(async () =>
        (await createClient(url)('GET', '/health/ready')).text.includes('{"name":"bus","status":"ok"'),
      );
    }
  });
  afterAll(async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });
  const at = (index: number) => (servers[index] as TestServer).url;
  const websocket = (index: number) => `${at(index).replace('http', 'ws')}/connection/websocket`;

  test('a message published on one reaches the clients of both, with one number', async () => {
    const clients = [await connectCentrifugo(websocket(0)), await connectCentrifugo(websocket(1))];
    for (const client of clients) await client.ask({ subscribe: { channel: 'public.x' } });
    for (let index = 0; index < 20; index++) {
      const json = { topic: 'public.x', data: index };
      const answer = await createClient(at(index % 2))('POST', '/api/sockets/publish', { token: SERVER_KEY, json });
      expect(answer.json['offset']).toBe(index + 1);
    }
    for (const client of clients) {
      await eventually(() => publicationsOf(client, 'public.x').length === 20);
      expect(publicationsOf(client, 'public.x').map(({ data }) => data)).toEqual(
        Array.from({ length: 20 }, (_, index) => index),
      );
    }
  });

  test('signing out on one cuts the connection on the other within a second', async () => {
    const { access_token: token, user } = await register(createClient(at(0)), 'ada@example.org');
    const client = await connectCentrifugo(websocket(1), token);
    await createClient(at(0))('PUT', '/api/files/by-name/a.txt', { token, body: 'hello' });
    await eventually(() => publicationsOf(client, `user.${user.id}`).length === 1);
    const startedAt = performance.now();
    await createClient(at(0))('POST', '/api/auth/logout', { token });
    expect((await client.closed).code).toBe(3500);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  test('the clients of a killed process go on with the other one, without a loss', async () => {
    const victim = await startServer({ env: { ...env, REDIS_URL: redis.url } });
    const url = `${victim.url.replace('http', 'ws')}/connection/websocket`;
    const publish = (data: unknown) =>
      createClient(at(0))('POST', '/api/sockets/publish', { token: SERVER_KEY, json: { topic: 'public.k', data } });
    await eventually(async () =>
      (await createClient(victim.url)('GET', '/health/ready')).text.includes('{"name":"bus","status":"ok"'),
    );
    const client = await connectCentrifugo(url);
    const { subscribe } = (await client.ask({ subscribe: { channel: 'public.k' } })) as {
      subscribe: { epoch: string };
    };
    await publish(1);
    await eventually(() => publicationsOf(client, 'public.k').length === 1);
    await victim.kill();
    await publish(2);
    const again = await connectCentrifugo(websocket(1));
    const reply = await again.ask({
      subscribe: { channel: 'public.k', recover: true, epoch: subscribe.epoch, offset: 1 },
    });
    expect(reply).toMatchObject({ subscribe: { recovered: true, publications: [{ data: 2, offset: 2 }] } });
    await victim[Symbol.asyncDispose]();
  });
});
