import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { hasRedis, startRedis, type TestRedis } from '../modules/sockets/redis-server.ts';
import { runCli } from '../support/cli.ts';
import { type Call, createClient, register } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { startServer, type TestServer } from '../support/server.ts';

const KEY = 'a-server-key-of-forty-characters-in-all!';
const env = { SERVER_KEY: KEY };

interface Stats {
  readonly backend: string;
  readonly hitRatio: number | null;
  readonly namespaces: readonly { readonly namespace: string; readonly hits: number; readonly misses: number }[];
}

describe('the cache over HTTP', () => {
  let server: TestServer;
  let call: Call;
  beforeAll(async () => {
    server = await startServer({ env });
    call = createClient(server.url);
  });
  afterAll(() => server[Symbol.asyncDispose]());
  const put = (key: string, json: object) =>
    call('PUT', `/api/cache/entries/${encodeURIComponent(key)}`, { token: KEY, json });
  const get = (key: string, query = '') =>
    call('GET', `/api/cache/entries/${encodeURIComponent(key)}${query}`, { token: KEY });

  test('is for admins alone', async () => {
    const { access_token: token } = await register(call, 'ada@example.org');
    const routes = [
      ['GET', '/api/cache/stats'],
      ['GET', '/api/cache/keys'],
      ['GET', '/api/cache/entries/k'],
      ['PUT', '/api/cache/entries/k'],
      ['DELETE', '/api/cache/entries/k'],
      ['POST', '/api/cache/purge'],
      ['POST', '/api/cache/explain'],
      ['POST', '/api/cache/warm'],
    ] as const;
    for (const [method, path] of routes) {
      const json = method === 'GET' || method === 'DELETE' ? {} : { json: { nonsense: 1 } };
      expect([path, (await call(method, path, json)).status]).toEqual([path, 401]);
      expect([path, (await call(method, path, { token, ...json })).status]).toEqual([path, 403]);
    }
  });

  test('puts, shows, lists and removes values', async () => {
    const value = { list: [1, null, 'é'], __proto__: undefined };
    const stored = await put('shop/1?a=b', { value, ttl: 60, tags: ['shop'] });
    expect(stored.status).toBe(200);
    expect(stored.json).toMatchObject({ key: 'shop/1?a=b', namespace: 'data', tags: ['shop'], state: 'fresh' });
    expect((await get('shop/1?a=b')).json['value']).toEqual({ list: [1, null, 'é'] });
    const ends = Date.parse(String(stored.json['freshUntil'])) - Date.parse(String(stored.json['createdAt']));
    expect(Math.abs(ends - 60_000)).toBeLessThan(1_000);
    await put('shop/2', { value: 'two' });
    await put('other', { value: 3 });
    const page = await call('GET', '/api/cache/keys?prefix=shop/&limit=1', { token: KEY });
    expect(page.json['items']).toHaveLength(1);
    const cursor = encodeURIComponent(String(page.json['nextCursor']));
    const next = await call('GET', `/api/cache/keys?prefix=shop/&limit=1&cursor=${cursor}`, { token: KEY });
    const keys = [page, next].flatMap(({ json }) => (json['items'] as { key: string }[]).map(({ key }) => key));
    expect(keys.toSorted()).toEqual(['shop/1?a=b', 'shop/2']);
    expect((await call('DELETE', '/api/cache/entries/shop%2F2', { token: KEY })).status).toBe(204);
    expect((await call('DELETE', '/api/cache/entries/shop%2F2', { token: KEY })).status).toBe(404);
    expect((await get('shop/2')).status).toBe(404);
  });

  test('purges and says how many, where it was counted', async () => {
    for (const key of ['a1', 'a2', 'b1']) await put(key, { value: key, tags: ['t'] });
    const purge = async (json: object) => (await call('POST', '/api/cache/purge', { token: KEY, json })).json['purged'];
    expect(await purge({ keys: ['a1', 'nothing'] })).toBe(1);
    expect((await get('a1')).status).toBe(404);
    expect(await purge({ prefix: 'a' })).toBeNull();
    expect((await get('a2')).status).toBe(404);
    expect(await purge({ tags: ['t'], soft: true })).toBeNull();
    expect(await purge({ tags: ['t'] })).toBeNull();
    expect((await get('b1')).status).toBe(404);
    await put('b1', { value: 1 });
    expect(await purge({ all: true })).toBeNull();
    expect((await call('GET', '/api/cache/keys', { token: KEY })).json['items']).toEqual([]);
  });

  test('refuses what makes no sense, without repeating it', async () => {
    const secret = 'not-to-be-seen';
    const bad: [string, string, object, number][] = [
      ['PUT', '/api/cache/entries/k', {}, 422],
      ['PUT', '/api/cache/entries/k', { value: 1, ttl: 0 }, 422],
      ['PUT', '/api/cache/entries/k', { value: 1, ttl: 1e12 }, 422],
      ['PUT', '/api/cache/entries/k', { value: 1, ttl: secret }, 422],
      ['PUT', '/api/cache/entries/k', { value: 1, tags: secret }, 422],
      ['POST', '/api/cache/purge', {}, 422],
      ['POST', '/api/cache/purge', { all: false }, 422],
      ['POST', '/api/cache/purge', { prefix: '' }, 422],
      ['POST', '/api/cache/purge', { keys: Array.from({ length: 1_001 }, () => secret) }, 422],
      ['POST', '/api/cache/explain', { url: '/', headers: { 'bad header': secret } }, 422],
    ];
    for (const [method, path, json, status] of bad) {
      const answer = await call(method, path, { token: KEY, json });
      expect([json, answer.status]).toEqual([json, status]);
      expect(answer.text).not.toContain(secret);
    }
    expect((await get('k', `?namespace=${'x'.repeat(100)}`)).status).toBe(422);
    expect((await get('k', '?namespace=nobody')).status).toBe(404);
    for (const key of ['__proto__', 'constructor', '..x', '%2e%2e', 'a?b#c', ' ', '\u0000']) {
      expect([key, (await put(key, { value: key })).status]).toEqual([key, 200]);
      expect((await get(key)).json['value']).toBe(key);
    }
  });

  test('PURGE: loopback and admins may, nobody else, and what came through a proxy is not loopback', async () => {
    const purge = (headers: Record<string, string> = {}) =>
      fetch(`${server.url}/some/page`, { method: 'PURGE', headers });
    expect(await (await purge()).json()).toEqual({ purged: 0 });
    await put('tagged', { value: 1, tags: ['x', 'y'] });
    expect(await (await purge({ 'cache-tags': 'y, z' })).json()).toEqual({ purged: null });
    expect((await get('tagged')).status).toBe(404);
    for (const header of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip']) {
      expect((await purge({ [header]: 'for=192.0.2.1' })).status).toBe(401);
    }
    const { access_token: token } = await register(call, 'bob@example.org');
    expect((await purge({ via: '1.1 proxy', authorization: `Bearer ${token}` })).status).toBe(403);
    expect((await purge({ via: '1.1 proxy', authorization: `Bearer ${KEY}` })).status).toBe(200);
    expect((await purge({ authorization: 'Bearer nonsense' })).status).toBe(401);
    const allowed = await fetch(`${server.url}/some/page`, { method: 'OPTIONS' });
    expect(allowed.headers.get('allow')).not.toContain('PURGE');
  });

  test('counts hits and misses, in the stats, the metrics and the health details', async () => {
    await put('counted', { value: 1 });
    await get('counted');
    await get('missing');
    const stats = (await call('GET', '/api/cache/stats', { token: KEY })).json as unknown as Stats;
    const data = stats.namespaces.find(({ namespace }) => namespace === 'data');
    expect(data?.hits).toBeGreaterThan(0);
    expect(data?.misses).toBeGreaterThan(0);
    expect(stats.hitRatio).toBeGreaterThan(0);
    const { text } = await call('GET', '/metrics', { token: KEY });
    expect(text).toContain(`bunkhouse_cache_hits_total{namespace="data"} ${data?.hits}`);
    expect(text).toContain('# TYPE bunkhouse_cache_hits_total counter');
    const ready = await call('GET', '/health/ready');
    const row = (ready.json['checks'] as { name: string; status: string; detail: string }[]).find(
      ({ name }) => name === 'cache',
    );
    expect(row?.status).toBe('ok');
    expect(row?.detail).toContain('hit ratio');
  });

  test('the command line speaks to the running server', async () => {
    await put('cli', { value: 1, tags: ['cli'] });
    const cli = (...args: string[]) =>
      runCli(['cache', ...args, '--url', server.url], { cwd: server.dataDir, env: { SERVER_KEY: KEY } });
    const stats = await cli('stats', '--json');
    expect(JSON.parse(stats.stdout)).toHaveProperty('namespaces');
    expect((await cli('stats')).stdout).toContain('namespace');
    expect((await cli('purge', '--tag', 'cli')).stdout).toBe('purged\n');
    expect((await get('cli')).status).toBe(404);
    const refused = await cli('purge');
    expect([refused.code, refused.stderr]).toEqual([1, 'bunkhouse: say what: --key, --tag, --prefix or --all\n']);
    const away = await runCli(['cache', 'stats'], { cwd: server.dataDir });
    expect([away.code, away.stderr.split('\n').length]).toEqual([1, 2]);
  });
});

test('stored answers of an upstream are purged by URL, path, prefix and tag, by all three ways in', async () => {
  let count = 0;
  const upstream = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () =>
      new Response(String(++count), { headers: { 'cache-control': 'max-age=100', 'surrogate-key': 'shop page-1' } }),
  });
  await using server = await startServer({ env: { ...env, PROXY_ROUTES: `/shop=http://127.0.0.1:${upstream.port}` } });
  const call = createClient(server.url);
  const page = async () => {
    const { text, headers } = await call('GET', '/shop/page?q=1');
    expect(headers.has('surrogate-key')).toBe(false);
    return text;
  };
  const api = async (json: object) =>
    (await call('POST', '/api/cache/purge', { token: KEY, json })).json['purged'] as number | null;
  const byMethod = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(server.url + path, { method: 'PURGE', headers });
    return ((await answer.json()) as { purged: number | null }).purged;
  };
  const byCommand = async (...args: string[]) => {
    const options = { cwd: server.dataDir, env: { SERVER_KEY: KEY } };
    return (await runCli(['cache', 'purge', ...args, '--url', server.url], options)).stdout;
  };
  const purges: [() => Promise<unknown>, unknown][] = [
    [() => api({ keys: ['/shop/page?q=1'] }), 1],
    [() => api({ keys: [`${server.url}/shop/page?q=1`, '/shop/other'] }), 1],
    [() => api({ prefix: '/shop/' }), null],
    [() => api({ prefix: server.url }), null],
    [() => api({ tags: ['page-1'] }), null],
    [() => api({ all: true }), null],
    [() => byMethod('/shop/page?q=1'), 1],
    [() => byMethod('/', { 'surrogate-key': 'other shop' }), null],
    [() => byCommand('--key', '/shop/page?q=1'), 'purged 1\n'],
    [() => byCommand('--tag', 'shop'), 'purged\n'],
  ];
  for (const [index, [purge, expected]] of purges.entries()) {
    const before = await page();
    expect([index, await page()]).toEqual([index, before]);
    expect([index, await purge()]).toEqual([index, expected]);
    expect([index, (await page()) !== before]).toEqual([index, true]);
  }
  // Another page, or the same with another query, is something else.
  const before = await page();
  expect(await api({ keys: ['/shop/page', '/shop/page?q=2', '/shop'] })).toBe(0);
  expect(await page()).toBe(before);
  await upstream.stop(true);
});

describe('a cache in files', () => {
  test('outlives the server, and the command line reaches it without one', async () => {
    await using first = await startServer({ env: { ...env, CACHE_URL: 'fs:cache' } });
    const call = createClient(first.url);
    for (const key of ['kept', 'gone']) {
      await call('PUT', `/api/cache/entries/${key}`, { token: KEY, json: { value: key, tags: [key] } });
    }
    await call('POST', '/api/cache/purge', { token: KEY, json: { tags: ['gone'] } });
    await first.kill();
    const cli = (...args: string[]) =>
      runCli(['cache', ...args], { cwd: first.dataDir, env: { CACHE_URL: 'fs:cache' } });
    const stats = await cli('stats', '--json');
    expect(JSON.parse(stats.stdout)).toEqual({ namespaces: [{ namespace: 'data', entries: 1, bytes: 6 }] });
    await using second = await first.restart();
    const again = createClient(second.url);
    expect((await again('GET', '/api/cache/entries/kept', { token: KEY })).json['value']).toBe('kept');
    expect((await again('GET', '/api/cache/entries/gone', { token: KEY })).status).toBe(404);
    // Behind the back of the server that runs, which takes it over soon.
    expect((await cli('purge', '--key', 'kept')).stdout).toBe('purged 1\n');
    await eventually(
      async () => (await again('GET', '/api/cache/entries/kept', { token: KEY })).status === 404,
      15_000,
    );
  });
});

describe.skipIf(!hasRedis)('several machines', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  const start = async (more: Record<string, string>) => {
    const server = await startServer({ env: { ...env, REDIS_URL: redis.url, ...more } });
    const call = createClient(server.url);
    const value = async (key: string) => (await call('GET', `/api/cache/entries/${key}`, { token: KEY })).json['value'];
    const put = (key: string, json: object) => call('PUT', `/api/cache/entries/${key}`, { token: KEY, json });
    await eventually(async () => {
      const ready = await call('GET', '/health/ready', { may5xx: true });
      return (ready.json['checks'] as { name: string; status: string }[]).every(
        ({ name, status }) => !['bus', 'cache'].includes(name) || status === 'ok',
      );
    });
    return { call, value, put, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  };

  test('each with memory of its own: a purge on one ends what the other holds', async () => {
    await using one = await start({});
    await using two = await start({});
    for (const each of [one, two]) await each.put('k', { value: 'v', tags: ['t'] });
    // To put is to replace, everywhere.
    await eventually(async () => (await one.value('k')) === undefined);
    await one.put('other', { value: 'v', tags: ['t'] });
    await one.call('POST', '/api/cache/purge', { token: KEY, json: { tags: ['t'] } });
    await eventually(async () => (await two.value('k')) === undefined);
    expect(await one.value('other')).toBeUndefined();
  });

  test('over one Redis: they see the same, at once', async () => {
    const shared = { CACHE_URL: redis.url };
    await using one = await start(shared);
    await using two = await start(shared);
    await one.put('k', { value: 1 });
    expect(await two.value('k')).toBe(1);
    await one.put('k', { value: 2 });
    await eventually(async () => (await two.value('k')) === 2);
    await two.call('DELETE', '/api/cache/entries/k', { token: KEY });
    await eventually(async () => (await one.value('k')) === undefined);
    await one.call('PUT', '/api/cache/entries/bytes', { token: KEY, json: { value: '123' } });
    expect(await two.value('bytes')).toBe('123');
  });

  test('killing Redis under load gives no failed request', async () => {
    await using one = await start({ CACHE_URL: redis.url });
    const failures: string[] = [];
    let isOver = false;
    let count = 0;
    const client = async (name: number) => {
      for (let index = 0; !isOver; index++) {
        const key = `load-${name}-${index % 50}`;
        const answers = [
          await one.call('PUT', `/api/cache/entries/${key}`, { token: KEY, json: { value: index }, may5xx: true }),
          await one.call('GET', `/api/cache/entries/${key}`, { token: KEY, may5xx: true }),
          await one.call('POST', '/api/cache/purge', { token: KEY, json: { tags: [key] }, may5xx: true }),
        ];
        count += answers.length;
        for (const { status, text } of answers) if (status !== 200) failures.push(`${status} ${text}`);
      }
    };
    const clients = Array.from({ length: 8 }, (_, name) => client(name));
    await eventually(() => count > 300);
    await redis.kill();
    const atKill = count;
    await eventually(() => count > atKill + 600);
    await redis.start();
    const atStart = count;
    await eventually(() => count > atStart + 600);
    isOver = true;
    await Promise.all(clients);
    expect(failures).toEqual([]);
    await eventually(async () => {
      const { json } = await one.call('GET', '/api/cache/stats', { token: KEY });
      return (json as unknown as Stats).backend === 'up';
    }, 20_000);
  });
});
