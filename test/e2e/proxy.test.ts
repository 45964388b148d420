import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-ports.ts';
import { connectRaw } from '../support/raw.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const SERVER_KEY = 'a-server-key-of-the-tests-0123456789abcdef';
let upstream: TestUpstream;
let server: TestServer;
beforeAll(async () => {
  upstream = await startUpstream();
  server = await startServer({
    env: {
      PROXY_ROUTES: `/shop=${upstream.origin},/liar=${upstream.liar},/gone=http://127.0.0.1:1`,
      CACHE_RULES: '/shop/off=off,/shop/forced=force(60)',
      SERVER_KEY,
    },
  });
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await upstream?.kill();
});

const get = (path: string, init?: RequestInit) => fetch(server.url + path, { redirect: 'manual', ...init });
const cacheStatus = (response: Response) => response.headers.get('cache-status') ?? '';
const cacheable = 'h-cache-control=max-age%3D60';

interface Echo {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}
const echo = async (path: string, init?: RequestInit) => (await (await get(path, init)).json()) as Echo;

describe('an upstream is asked', () => {
  test('below its prefix, with the path unchanged, and nowhere else', async () => {
    expect((await echo('/shop/a%2Fb/echo?x=1&y=%20')).path).toBe('/shop/a%2Fb/echo?x=1&y=%20');
    expect((await get('/shop')).headers.get('x-upstream')).toBe('upstream');
    for (const path of ['/shopping', '/other', '/shop/../health/live', '/api/shop']) {
      expect((await get(path)).headers.get('x-upstream')).toBeNull();
    }
  });

  test.each(['/shop/%2e%2e/echo', '/shop/..%2fecho/../../echo', '/shop/..\\echo'])(
    'never above its prefix: %s',
    async (path) => {
      const connection = await connectRaw(server.url);
      connection.write(`GET ${path} HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nConnection: close\r\n\r\n`);
      const text = await connection.closed;
      expect(text).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(text).not.toContain('x-upstream');
    },
  );

  test('with any method and body, streamed both ways', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'GET']) {
      const body = method === 'GET' || method === 'OPTIONS' ? null : 'the body';
      expect(await echo('/shop/echo', { method, body })).toMatchObject({ method, body: body ?? '' });
    }
    const size = 20 * 2 ** 20;
    const sent = await get('/shop/size', { method: 'POST', body: new Uint8Array(size) });
    expect(await sent.text()).toBe(String(size));
    const got = await get(`/shop/bytes?size=${size}`);
    expect((await got.arrayBuffer()).byteLength).toBe(size);
  });

  test('and its answer reaches the client while it comes', async () => {
    const startedAt = performance.now();
    const response = await get('/shop/drip');
    const reader = response.body?.getReader();
    const first = new TextDecoder().decode((await reader?.read())?.value);
    const firstMs = performance.now() - startedAt;
    let rest = '';
    for (let read = await reader?.read(); read && !read.done; read = await reader?.read())
      rest += new TextDecoder().decode(read.value);
    expect(first + rest).toBe('onetwothree');
    expect(firstMs).toBeLessThan(performance.now() - startedAt - 100);
  });

  test('about the client only what is true', async () => {
    const { headers } = await echo('/shop/echo', {
      headers: {
        'x-forwarded-for': '203.0.113.9',
        'x-forwarded-host': 'evil.example',
        forwarded: 'for=203.0.113.9',
        'x-real-ip': '203.0.113.9',
        'x-original-url': '/admin',
        'proxy-authorization': 'Basic x',
        te: 'trailers',
        cookie: 'a=1; __Host-bunkhouse=secret; b=2',
        authorization: 'Bearer abc',
      },
    });
    expect(headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': new URL(server.url).host,
      'x-forwarded-proto': 'http',
      host: new URL(upstream.origin).host,
      cookie: 'a=1; b=2',
      authorization: 'Bearer abc',
    });
    expect(headers['x-request-id']).toMatch(/^[\w-]+$/);
    expect(headers['via']).toMatch(/^1\.1 bunkhouse-/);
    for (const name of ['forwarded', 'x-real-ip', 'x-original-url', 'proxy-authorization', 'te']) {
      expect(headers[name]).toBeUndefined();
    }
  });

  test('and keeps its own headers; a redirect to itself stays here', async () => {
    const plain = await get('/shop/plain');
    for (const name of ['content-security-policy', 'x-frame-options', 'referrer-policy', 'cache-control']) {
      expect(plain.headers.get(name)).toBeNull();
    }
    expect(plain.headers.get('ratelimit')).not.toBeNull();
    const redirect = await get('/shop/redirect');
    expect([redirect.status, redirect.headers.get('location')]).toEqual([302, '/shop/elsewhere']);
  });

  test('not for WebSockets', async () => {
    const response = await get('/shop/x', { headers: { connection: 'upgrade', upgrade: 'websocket' } });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([501, 'proxy/no-websockets']);
  });
});

describe('answers are cached', () => {
  test('as they say, and drop out by PUT', async () => {
    const path = `/shop/one?${cacheable}`;
    const first = await (await get(path)).text();
    const second = await get(path);
    expect([await second.text(), cacheStatus(second).replace(/ttl=\d+/, 'ttl')]).toEqual([
      first,
      'bunkhouse; hit; ttl',
    ]);
    await get(path, { method: 'PUT' });
    expect(await (await get(path)).text()).not.toBe(first);
  });

  test('by rule: off, and force', async () => {
    await get(`/shop/off/a?${cacheable}`);
    expect(cacheStatus(await get(`/shop/off/a?${cacheable}`))).toContain('fwd=bypass');
    await get('/shop/forced/a');
    expect(cacheStatus(await get('/shop/forced/a'))).toContain('; hit; ttl=');
  });

  test('never with a cookie for somebody', async () => {
    const path = `/shop/login?${cacheable}&h-set-cookie=session%3Done`;
    expect((await get(path)).headers.get('set-cookie')).toBe('session=one');
    const again = await get(path);
    expect([cacheStatus(again).includes('hit'), again.headers.get('x-count')]).not.toEqual([true, '1']);
    expect(cacheStatus(again)).toContain('fwd=uri-miss');
  });

  test('and 100 requests for a cold one ask once', async () => {
    const path = `/shop/drip?${cacheable}&cold`;
    const answers = await Promise.all(Array.from({ length: 100 }, () => get(path)));
    const counts = new Set(answers.map((response) => response.headers.get('x-count')));
    expect(await Promise.all(answers.map((response) => response.text()))).toEqual(answers.map(() => 'onetwothree'));
    expect(counts.size).toBe(1);
  });

  test('and a gigabyte goes through without being kept in memory', async () => {
    const rss = async () =>
      Number(/VmRSS:\s+(\d+)/.exec(await Bun.file(`/proc/${server.pid}/status`).text())?.[1]) / 1024;
    const before = await rss();
    let most = before;
    let bytes = 0;
    const response = await get(`/shop/bytes?size=${2 ** 30}&${cacheable}`);
    for await (const chunk of response.body ?? []) {
      bytes += chunk.byteLength;
      if ((bytes >> 20) % 64 === 0) most = Math.max(most, await rss());
    }
    expect(bytes).toBe(2 ** 30);
    expect(most - before).toBeLessThan(150);
  }, 60_000);
});

describe('whoever runs it', () => {
  const admin = { authorization: `Bearer ${SERVER_KEY}`, 'content-type': 'application/json' };
  const post = async (path: string, body: object) => {
    const response = await get(path, { method: 'POST', headers: admin, body: JSON.stringify(body) });
    return (await response.json()) as Record<string, unknown>;
  };
  const path = `/shop/run?${cacheable}&h-surrogate-key=menu`;

  test('hears why an answer is stored, warms it up, and purges it by route and by method', async () => {
    expect(await post('/api/cache/explain', { url: path })).toMatchObject({
      rule: 'proxy /shop',
      mode: 'respect',
      outcome: 'miss',
      isStorable: true,
      freshness: { lifetimeSeconds: 60, source: 'max-age' },
    });
    expect(await post('/api/cache/warm', { urls: [path, '/elsewhere'] })).toEqual({
      warmed: 1,
      missed: ['/elsewhere'],
    });
    expect(await post('/api/cache/explain', { url: path })).toMatchObject({ outcome: 'hit' });
    const explained = async (...args: string[]) => {
      const options = { cwd: server.dataDir, env: { SERVER_KEY } };
      return (await runCli(['cache', 'explain', path, ...args, '--url', server.url], options)).stdout.split('\n');
    };
    expect((await explained()).slice(0, 2)).toEqual(['hit: max-age says 60 s', '  rule: proxy /shop, respect']);
    expect((await explained('--header', 'Cookie: PHPSESSID=1'))[0]).toStartWith('bypass: the request has a cookie');
    const isHit = async () => cacheStatus(await get(path)).includes('; hit');
    expect(await isHit()).toBe(true);
    const purges: (() => Promise<unknown>)[] = [
      () => post('/api/cache/purge', { keys: [path] }),
      () => post('/api/cache/purge', { tags: ['menu'] }),
      () => post('/api/cache/purge', { prefix: '/shop/run' }),
      () => get(path, { method: 'PURGE' }),
      () => get('/', { method: 'PURGE', headers: { xkey: 'menu' } }),
    ];
    for (const purge of purges) {
      await purge();
      expect(await isHit()).toBe(false);
      expect(await isHit()).toBe(true);
    }
    expect(await (await get(path, { method: 'PURGE', headers: { 'x-forwarded-for': '203.0.113.9' } })).status).toBe(
      401,
    );
    expect(await isHit()).toBe(true);
  });
});

describe('a server that cannot be trusted', () => {
  test('with a Content-Length it does not keep: too little is an error and is not kept, too much is cut', async () => {
    for (let round = 0; round < 2; round++) {
      const short = await get('/liar/short')
        .then((response) => response.text())
        .catch(() => 'broken off');
      expect(short).not.toBe('short');
      const long = await get('/liar/long');
      expect(await long.text()).toBe('long');
    }
    const huge = await get('/liar/huge')
      .then((response) => response.text())
      .catch(() => 'broken off');
    expect(huge).not.toBe('huge');
  });

  test('with what is no answer is 502, and what is early is not the answer', async () => {
    for (const path of ['/liar/close', '/liar/status', '/gone/x']) {
      const response = await get(path);
      const { code } = (await response.json()) as { code: string };
      expect([response.status, code.split('/')[0]]).toEqual([502, 'proxy']);
    }
    const early = await get('/liar/early');
    expect([early.status, await early.text(), early.headers.get('x-early')]).toEqual([200, 'hi', null]);
  });

  test('and a route that leads back here ends', async () => {
    const port = await freePort();
    await using loop = await startServer({ env: { PORT: String(port), PROXY_ROUTES: `/=http://127.0.0.1:${port}` } });
    expect((await fetch(`${loop.url}/x`)).status).toBe(508);
  });
});

describe('several servers behind one prefix', () => {
  test('share the work, and go on without the one that is gone', async () => {
    await using one = await startUpstream('one');
    await using two = await startUpstream('two');
    await using both = await startServer({ env: { PROXY_ROUTES: `/=${one.origin},/=${two.origin}` } });
    const ask = async (init?: RequestInit) => (await fetch(`${both.url}/page`, init)).headers.get('x-upstream');
    const names = async (count: number) => new Set(await Promise.all(Array.from({ length: count }, () => ask())));
    expect(await names(10)).toEqual(new Set(['one', 'two']));
    await one.kill();
    for (let round = 0; round < 10; round++) expect(await ask()).toBe('two');
  });
});

test('when the upstream is killed, stored answers stand in', async () => {
  const dying = await startUpstream('dying');
  await using ours = await startServer({ env: { PROXY_ROUTES: `/=${dying.origin}` } });
  const stale = `${ours.url}/page?h-cache-control=max-age%3D1,stale-if-error%3D60`;
  const strict = `${ours.url}/strict?h-cache-control=max-age%3D1,must-revalidate`;
  const text = await (await fetch(stale)).text();
  await (await fetch(strict)).text();
  await dying.kill();
  await eventually(async () => (await fetch(strict)).status === 502);
  const instead = await fetch(stale);
  expect([instead.status, await instead.text()]).toEqual([200, text]);
  expect(cacheStatus(instead)).toMatch(/^bunkhouse; hit; ttl=-?\d+; detail=origin-unreachable$/);
});

describe.skipIf(Bun.which('nginx') === null)('nginx as the upstream', () => {
  let root: string;
  let nginx: Bun.Subprocess;
  let ours: TestServer;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'bunkhouse-nginx-'));
    const port = await freePort();
    writeFileSync(join(root, 'page.html'), `<p>${'content '.repeat(1000)}</p>`);
    writeFileSync(
      join(root, 'nginx.conf'),
      `daemon off; user root; pid ${root}/pid; error_log stderr error; worker_processes 1; events {}
       http { access_log off; client_body_temp_path ${root}/b; proxy_temp_path ${root}/p; fastcgi_temp_path ${root}/f;
         uwsgi_temp_path ${root}/u; scgi_temp_path ${root}/s; types { text/html html; } gzip on; gzip_vary on; gzip_proxied any;
         server { listen 127.0.0.1:${port}; root ${root}; expires 1m; } }`,
    );
    nginx = Bun.spawn(['nginx', '-p', root, '-c', join(root, 'nginx.conf')], { stderr: 'inherit' });
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/page.html`).catch(() => null))?.ok === true);
    ours = await startServer({ env: { PROXY_ROUTES: `/=http://127.0.0.1:${port}` } });
  });
  afterAll(async () => {
    await ours?.[Symbol.asyncDispose]();
    nginx?.kill();
    await nginx?.exited;
    rmSync(root, { recursive: true, force: true });
  });

  test('encodings are kept apart, validators and ranges hold', async () => {
    const ask = (headers: Record<string, string>) =>
      fetch(`${ours.url}/page.html`, { headers, decompress: false } as RequestInit);
    const zipped = await ask({ 'accept-encoding': 'gzip' });
    expect(zipped.headers.get('content-encoding')).toBe('gzip');
    const plain = await ask({ 'accept-encoding': 'identity' });
    expect(plain.headers.get('content-encoding')).toBeNull();
    expect(await plain.text()).toStartWith('<p>content');
    expect(Bun.gunzipSync(await zipped.arrayBuffer()).byteLength).toBeGreaterThan(8000);
    await eventually(async () => cacheStatus(await ask({ 'accept-encoding': 'br;q=0, gzip' })).includes('hit'));
    const hit = await ask({ 'accept-encoding': 'identity' });
    expect(cacheStatus(hit)).toContain('hit');
    const etag = hit.headers.get('etag') ?? '';
    expect((await ask({ 'accept-encoding': 'identity', 'if-none-match': etag })).status).toBe(304);
    const part = await ask({ 'accept-encoding': 'identity', range: 'bytes=0-2' });
    expect([part.status, await part.text()]).toEqual([206, '<p>']);
  });
});
