import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { hasRedis, startRedis, type TestRedis } from '../modules/sockets/redis-server.ts';
import { eventually } from '../support/eventually.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const cacheable = 'h-cache-control=max-age%3D60';
/** What clients ask for, whichever machine they reach: part of the key. */
const host = 'site.localhost';

describe.skipIf(!hasRedis)('stored answers over one Redis', () => {
  let redis: TestRedis;
  let upstream: TestUpstream;
  let servers: TestServer[];
  beforeAll(async () => {
    redis = await startRedis();
    upstream = await startUpstream();
    const env = { PROXY_ROUTES: `/=${upstream.origin}`, CACHE_URL: redis.url, REDIS_URL: redis.url };
    servers = await Promise.all([startServer({ env }), startServer({ env })]);
  });
  afterAll(async () => {
    for (const server of servers ?? []) await server[Symbol.asyncDispose]();
    await upstream?.kill();
    await redis?.[Symbol.asyncDispose]();
  });
  const ask = (machine: number, path: string, init: RequestInit & { headers?: Record<string, string> } = {}) =>
    fetch(`${servers[machine]?.url}${path}`, { ...init, headers: { host, ...init.headers } });
  const isHit = async (machine: number, path: string, headers: Record<string, string> = {}) =>
    ((await ask(machine, path, { headers })).headers.get('cache-status') ?? '').includes('; hit');

  test('what one machine stored the other gives, in all variants, until one purges it', async () => {
    const path = `/page?${cacheable}&h-vary=Foo`;
    const texts: string[] = [];
    for (const foo of ['1', '2']) texts.push(await (await ask(0, path, { headers: { foo } })).text());
    for (const [index, foo] of ['1', '2'].entries()) {
      await eventually(() => isHit(1, path, { foo }));
      expect(await (await ask(1, path, { headers: { foo } })).text()).toBe(texts[index] ?? '');
    }
    expect(await isHit(1, path, { foo: '3' })).toBe(false);
    expect((await ask(1, path, { method: 'PURGE' })).status).toBe(200);
    for (const foo of ['1', '2']) {
      await eventually(
        async () => (await (await ask(0, path, { headers: { foo } })).text()) !== texts[Number(foo) - 1],
      );
    }
  });

  test('killing Redis under load gives no failed request, and stored answers are still given', async () => {
    const failures: number[] = [];
    let count = 0;
    let isOver = false;
    const client = async (name: number) => {
      for (let index = 0; !isOver; index++) {
        for (const path of [`/hot?${cacheable}`, `/cold?${cacheable}&${name}-${index}`, '/own']) {
          const response = await ask(0, path);
          await response.arrayBuffer();
          count++;
          if (response.status !== 200) failures.push(response.status);
        }
      }
    };
    const clients = Array.from({ length: 8 }, (_, name) => client(name));
    const more = (requests: number) => {
      const from = count;
      return eventually(() => count > from + requests);
    };
    await more(200);
    await redis.kill();
    await more(500);
    expect(await isHit(0, `/hot?${cacheable}`)).toBe(true);
    await redis.start();
    await more(300);
    isOver = true;
    await Promise.all(clients);
    expect(failures).toEqual([]);
  });
});
