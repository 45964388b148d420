import { afterAll, describe, expect, test } from 'bun:test';
import { gzipSync } from 'node:zlib';
import { type PublicFetcherOptions, publicFetcher } from '../../src/drivers/public-fetcher.ts';
import { isPublicAddress } from '../../src/kernel/address-range.ts';

const asked: { path: string; headers: Headers }[] = [];
const site = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch(request) {
    const url = new URL(request.url);
    asked.push({ path: url.pathname, headers: request.headers });
    const target = url.searchParams.get('to') ?? '/page';
    switch (url.pathname) {
      case '/page':
        return new Response('<p>ü', { headers: { 'content-type': 'text/html; charset=utf-8' } });
      case '/redirect':
        return new Response(null, { status: 302, headers: { location: target } });
      case '/loop':
        return new Response(null, { status: 301, headers: { location: '/loop' } });
      case '/bomb':
        return new Response(gzipSync(new Uint8Array(1_000_000)), { headers: { 'content-encoding': 'gzip' } });
      case '/compressed':
        return new Response(gzipSync('small'), { headers: { 'content-encoding': 'gzip' } });
      case '/odd':
        return new Response('x', { headers: { 'content-encoding': 'rot13' } });
      case '/large':
        return new Response(new Uint8Array(5_000));
      case '/endless':
        return new Response(
          new ReadableStream({
            pull: (controller) => controller.enqueue(new Uint8Array(1_000)),
          }),
        );
      case '/silent':
        return new Promise<Response>(() => undefined);
      default:
        return new Response('no', { status: 404 });
    }
  },
});
afterAll(() => site.stop(true));

const address = (path: string) => `http://site.test:${site.port}${path}`;

/** Names and addresses of a small internet in which this machine is public. */
function open(options: Partial<PublicFetcherOptions> = {}) {
  return publicFetcher({
    userAgent: 'test',
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    isAllowed: (each) => each === '127.0.0.1' || isPublicAddress(each),
    isPortAllowed: () => true,
    ...options,
  });
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: { code?: string }) => error.code ?? String(error),
  );

describe('fetching what somebody named', () => {
  test('gives the bytes, their type and where they came from', async () => {
    const fetched = await open().fetch(address('/redirect?to=/page#part'), { maxBytes: 100 });
    expect(new TextDecoder().decode(fetched.bytes)).toBe('<p>ü');
    expect(fetched.contentType).toBe('text/html; charset=utf-8');
    expect(fetched.url).toBe(address('/page'));
  });

  test('sends nothing of ours along', async () => {
    asked.length = 0;
    await open().fetch(address('/page'), { maxBytes: 100 });
    const [{ headers } = { headers: new Headers() }] = asked;
    expect(headers.get('host')).toBe(`site.test:${site.port}`);
    for (const name of ['cookie', 'authorization', 'referer', 'x-forwarded-for']) expect(headers.has(name)).toBe(false);
  });

  const refused: readonly string[] = [
    'file:///etc/passwd',
    'ftp://example.org/',
    'data:text/html,x',
    'http://user:secret@example.org/',
    'http://127.0.0.1/',
    'http://127.1/',
    'http://2130706433/',
    'http://0x7f.0.0.1/',
    'http://0/',
    'http://10.0.0.1/',
    'http://172.16.0.1/',
    'http://192.168.1.1/',
    'http://100.64.0.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://[::1]/',
    'http://[::]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:a9fe:a9fe]/',
    'http://[::127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[2002:7f00:1::]/',
    'http://[fd00:ec2::254]/',
    'http://[fe80::1]/',
    'http://[ff02::1]/',
    'http://example.org:22/',
    'http://example.org:6379/',
    `http://example.org/${'x'.repeat(3000)}`,
    'not an address',
    '//example.org/',
  ];
  for (const url of refused) {
    test(`refuses ${url.slice(0, 60)}`, async () => {
      const strict = publicFetcher({
        userAgent: 'test',
        resolve: async () => [{ address: '93.184.215.14', family: 4 }],
      });
      expect(await codeOf(strict.fetch(url, { maxBytes: 100 }))).toBe('fetch/refused');
    });
  }

  test('refuses a name that stands for an address of ours, alone or among good ones', async () => {
    for (const addresses of [['127.0.0.1'], ['93.184.215.14', '10.1.2.3'], ['::1']]) {
      const resolve = async () => addresses.map((each) => ({ address: each, family: each.includes(':') ? 6 : 4 }));
      const strict = publicFetcher({ userAgent: 'test', resolve, isPortAllowed: () => true });
      expect(await codeOf(strict.fetch(address('/page'), { maxBytes: 100 }))).toBe('fetch/refused');
    }
  });

  test('connects to the address that was checked, whatever the name means a moment later', async () => {
    let times = 0;
    // The first answer is checked; whoever asks again would be sent elsewhere.
    const resolve = async () => [{ address: times++ === 0 ? '127.0.0.1' : '127.0.0.2', family: 4 }];
    await open({ resolve }).fetch(address('/page'), { maxBytes: 100 });
    expect(times).toBe(1);
  });

  test('checks every address that a redirect leads to', async () => {
    for (const target of ['http://169.254.169.254/', 'http://[::1]/', 'file:///etc/passwd', 'http://10.0.0.1:80/']) {
      const url = address(`/redirect?to=${encodeURIComponent(target)}`);
      expect(await codeOf(open().fetch(url, { maxBytes: 100 }))).toBe('fetch/refused');
    }
  });

  test('gives up on a ring of redirects', async () => {
    expect(await codeOf(open().fetch(address('/loop'), { maxBytes: 100 }))).toBe('fetch/failed');
  });

  test('counts bytes after decompression', async () => {
    expect(await codeOf(open().fetch(address('/bomb'), { maxBytes: 10_000 }))).toBe('fetch/too-large');
    const small = await open().fetch(address('/compressed'), { maxBytes: 10_000 });
    expect(new TextDecoder().decode(small.bytes)).toBe('small');
  });

  test('stops at the limit, even of what never ends', async () => {
    expect(await codeOf(open().fetch(address('/large'), { maxBytes: 4_999 }))).toBe('fetch/too-large');
    expect(await codeOf(open().fetch(address('/endless'), { maxBytes: 50_000 }))).toBe('fetch/too-large');
  });

  test('fails for what does not come', async () => {
    expect(await codeOf(open().fetch(address('/missing'), { maxBytes: 100 }))).toBe('fetch/failed');
    expect(await codeOf(open().fetch(address('/odd'), { maxBytes: 100 }))).toBe('fetch/failed');
    expect(await codeOf(open({ timeoutMs: 50 }).fetch(address('/silent'), { maxBytes: 100 }))).toBe('fetch/failed');
    const unknown = open({ resolve: () => Promise.reject(new Error('ENOTFOUND')) });
    expect(await codeOf(unknown.fetch(address('/page'), { maxBytes: 100 }))).toBe('fetch/failed');
  });
});
