import { describe, expect, test } from 'bun:test';
import { deltaSeconds, parseCacheControl } from '../../../src/modules/cache/http-cache-control.ts';
import { hasExplicitLifetime, initialAge, lifetimeOf } from '../../../src/modules/cache/http-freshness.ts';
import { mergeNotModified, toStoredHeaders } from '../../../src/modules/cache/http-headers.ts';
import { invalidatedBy } from '../../../src/modules/cache/http-invalidation.ts';
import { cacheKeyOf } from '../../../src/modules/cache/http-key.ts';
import { judgeRequest } from '../../../src/modules/cache/http-request.ts';
import { createHttpRules } from '../../../src/modules/cache/http-rules.ts';
import { toCacheStatus } from '../../../src/modules/cache/http-status.ts';
import { judgeStoring } from '../../../src/modules/cache/http-storing.ts';
import { cacheControlOf } from '../../../src/modules/cache/http-targeted-control.ts';
import { normalizeEncodings, variantOf, varyOf } from '../../../src/modules/cache/http-vary.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number) => new Date(NOW + seconds * 1000).toUTCString();

describe('Cache-Control is read as RFC 9111 §5.2 says, and garbage is stepped over', () => {
  const cases: [field: string, directives: Record<string, string | true>][] = [
    ['max-age=60', { 'max-age': '60' }],
    ['MAX-Age=60, No-Store', { 'max-age': '60', 'no-store': true }],
    [' max-age = 60 ,, no-cache ', { 'max-age': '60', 'no-cache': true }],
    ['max-age="60"', { 'max-age': '60' }],
    ['no-cache="set-cookie, x", max-age=1', { 'no-cache': 'set-cookie, x', 'max-age': '1' }],
    ['ext="max-age=100, \\"no-store", max-age=1', { ext: 'max-age=100, "no-store', 'max-age': '1' }],
    ['max-age=1, max-age=100', { 'max-age': '1' }],
    ['@garbage{}, max-age=5', { 'max-age': '5' }],
    ['max-age=5; no-store', { 'max-age': '5; no-store' }],
    ['ext="never closed, max-age=5', { ext: 'never closed, max-age=5' }],
    ['', {}],
    [',,,', {}],
    ['=5, max-age=5', { 'max-age': '5' }],
    [
      '__proto__=1, constructor',
      Object.fromEntries([
        ['__proto__', '1'],
        ['constructor', true as const],
      ]),
    ],
  ];
  test.each(cases)('%s', (field, directives) => {
    expect(Object.fromEntries(parseCacheControl(field))).toEqual(directives);
  });

  test('a field of any length takes no longer than a short one', () => {
    for (const text of ['a'.repeat(1e6), '"'.repeat(1e6), 'a="'.repeat(3e5), ' ,'.repeat(5e5), 'a= '.repeat(3e5)]) {
      const startedAt = performance.now();
      parseCacheControl(text);
      cacheControlOf(new Headers({ 'cdn-cache-control': text }));
      varyOf(text);
      normalizeEncodings(text.slice(0, 16_000));
      expect(performance.now() - startedAt).toBeLessThan(500);
    }
  });

  const seconds: [value: string, expected: number | null][] = [
    ['max-age=60', 60],
    ['max-age=0060', 60],
    ['max-age=99999999999', 2 ** 31],
    ['max-age=-1', 0],
    ['max-age=1.5', 0],
    ["max-age='60'", 0],
    ['max-age=', 0],
    ['max-age', 0],
    ['s-maxage=60', null],
  ];
  test.each(seconds)('%s is %p seconds (§1.2.2, §4.2.1)', (field, expected) => {
    expect(deltaSeconds(parseCacheControl(field), 'max-age')).toBe(expected);
  });
});

describe('a targeted field decides alone when it is valid (RFC 9213 §2)', () => {
  const cases: [headers: Record<string, string>, field: string, directives: Record<string, string | true>][] = [
    [{ 'cache-control': 'no-store' }, 'cache-control', { 'no-store': true }],
    [{ 'cdn-cache-control': 'max-age=60', 'cache-control': 'no-store' }, 'cdn-cache-control', { 'max-age': '60' }],
    [
      { 'bunkhouse-cache-control': 'max-age=1', 'cdn-cache-control': 'max-age=2' },
      'bunkhouse-cache-control',
      { 'max-age': '1' },
    ],
    [{ 'cdn-cache-control': '', 'cache-control': 'max-age=1' }, 'cache-control', { 'max-age': '1' }],
    [{ 'cdn-cache-control': 'max-age=60, &&&', 'cache-control': 'max-age=1' }, 'cache-control', { 'max-age': '1' }],
    [{ 'cdn-cache-control': 'MAX-AGE=60', 'cache-control': 'max-age=1' }, 'cache-control', { 'max-age': '1' }],
    [{ 'cdn-cache-control': 'max-age=60,', 'cache-control': 'max-age=1' }, 'cache-control', { 'max-age': '1' }],
    [{ 'cdn-cache-control': 'max-age="60"', 'cache-control': 'max-age=1' }, 'cache-control', { 'max-age': '1' }],
    [{ 'cdn-cache-control': 'max-age=60;ext=1, private;a' }, 'cdn-cache-control', { 'max-age': '60', private: true }],
    [{ 'cdn-cache-control': 'no-store=?0, max-age=60' }, 'cdn-cache-control', { 'max-age': '60' }],
    [{ 'cdn-cache-control': 'no-store=?1' }, 'cdn-cache-control', { 'no-store': true }],
    [{ 'cdn-cache-control': 'max-age=1, max-age=2' }, 'cdn-cache-control', { 'max-age': '2' }],
  ];
  test.each(cases)('%p', (headers, field, directives) => {
    const control = cacheControlOf(new Headers(headers));
    expect([control.field as string, Object.fromEntries(control.directives)]).toEqual([field, directives]);
  });
});

describe('freshness lifetime (RFC 9111 §4.2.1)', () => {
  const cases: [headers: Record<string, string>, seconds: number, source: string][] = [
    [{}, 0, 'none'],
    [{ 'cache-control': 'max-age=5, s-maxage=60' }, 60, 's-maxage'],
    [{ 'cache-control': 'max-age=0', expires: at(60), date: at(0) }, 0, 'max-age'],
    [{ expires: at(60), date: at(0) }, 60, 'expires'],
    [{ expires: at(60), date: 'never' }, 60, 'expires'],
    [{ expires: at(-60), date: at(0) }, 0, 'expires'],
    [{ expires: '0' }, 0, 'expires'],
    [{ expires: `${at(60)}, ${at(90)}` }, 0, 'expires'],
    [{ expires: at(60).replace('GMT', 'UTC') }, 0, 'expires'],
    [{ expires: at(60).toLowerCase(), date: at(0) }, 60, 'expires'],
    [{ 'x-accel-expires': '30', 'cache-control': 'max-age=5' }, 30, 'x-accel-expires'],
    [{ 'x-accel-expires': `@${NOW / 1000 + 20}` }, 20, 'x-accel-expires'],
    [{ 'x-accel-expires': 'soon', 'cache-control': 'max-age=5' }, 5, 'max-age'],
    [{ 'cdn-cache-control': 'max-age=60', expires: '0', 'x-accel-expires': '1' }, 60, 'cdn-cache-control max-age'],
    [{ 'last-modified': at(-1e6) }, 0, 'none'],
  ];
  test.each(cases)('%p lives %i s by %s', (given, seconds, source) => {
    const headers = new Headers(given);
    const { directives, field } = cacheControlOf(headers);
    const isTargeted = field !== 'cache-control';
    expect(lifetimeOf(headers, { directives, field, isTargeted }, NOW)).toEqual({ seconds, source });
    expect(hasExplicitLifetime(headers, directives, isTargeted)).toBe(source !== 'none');
  });

  const ages: [headers: Record<string, string>, delayMs: number, age: number][] = [
    [{}, 0, 0],
    [{}, 3000, 3],
    [{ age: '10' }, 2000, 12],
    [{ age: '10, 0' }, 0, 10],
    [{ age: '0, 10' }, 0, 0],
    [{ age: '7200.0' }, 0, 0],
    [{ age: '-5' }, 0, 0],
    [{ age: 'old' }, 0, 0],
    [{ age: '99999999999' }, 0, 2 ** 31],
    [{ date: at(-30) }, 0, 30],
    [{ date: at(-30), age: '10' }, 0, 30],
    [{ date: at(30) }, 0, 0],
  ];
  test.each(ages)('%p after %i ms is %i s old (§4.2.3, §5.1)', (headers, delayMs, age) => {
    expect(initialAge(new Headers(headers), NOW - delayMs, NOW)).toBe(age);
  });
});

describe('what is stored (RFC 9111 §3)', () => {
  const rule = { name: 'test', mode: 'respect' } as const;
  const judge = (headers: Record<string, string>, status = 200, isAuthorized = false) =>
    judgeStoring({ rule, isAuthorized, status, headers: new Headers(headers), receivedAt: NOW });
  const fresh = { 'cache-control': 'max-age=60' };

  const cases: [headers: Record<string, string>, status: number, isAuthorized: boolean, isStorable: boolean][] = [
    [fresh, 200, false, true],
    [fresh, 404, false, true],
    [fresh, 500, false, true],
    [fresh, 599, false, true],
    [fresh, 206, false, false],
    [fresh, 304, false, false],
    [{ 'cache-control': 'no-store, must-understand, max-age=60' }, 200, false, true],
    [{ 'cache-control': 'no-store, must-understand, max-age=60' }, 599, false, false],
    [{ 'cache-control': 'no-cache', etag: '"v"' }, 200, false, true],
    [{ 'cache-control': 'no-cache' }, 200, false, false],
    [{ 'cache-control': 'max-age=0' }, 200, false, false],
    [{ 'cache-control': 'max-age=0', etag: '"v"' }, 200, false, true],
    [{ etag: '"v"' }, 599, false, false],
    [{ 'cache-control': 'private, s-maxage=60' }, 200, false, false],
    [{ ...fresh, 'set-cookie': '' }, 200, false, false],
    [fresh, 200, true, false],
    [{ 'cache-control': 'public, max-age=60' }, 200, true, true],
    [{ 'cache-control': 's-maxage=60' }, 200, true, true],
    [{ 'cache-control': 'max-age=60, must-revalidate' }, 200, true, true],
  ];
  test.each(cases)('%p with %i, authorized %p: %p', (headers, status, isAuthorized, isStorable) => {
    expect(judge(headers, status, isAuthorized).isStorable).toBe(isStorable);
  });

  test('without what is for one hop, one client, or the cache alone (§3.1)', () => {
    const stored = toStoredHeaders(
      new Headers({
        connection: 'keep-alive, x-hop',
        'x-hop': '1',
        'transfer-encoding': 'chunked',
        'proxy-authenticate': 'x',
        upgrade: 'x',
        'set-cookie': 'a=b',
        age: '5',
        'surrogate-key': 'one',
        'x-own': 'yes',
      }),
      NOW,
    );
    expect(stored).toEqual({ 'x-own': 'yes', date: at(0) });
  });

  test('a 304 changes what it says, but nothing that describes the stored bytes (§3.2)', () => {
    const stored = { etag: '"v"', 'content-length': '5', 'content-encoding': 'gzip', 'x-own': 'old', 'x-kept': 'yes' };
    const said = { 'content-length': '9', 'content-encoding': 'br', 'content-range': 'bytes 0-1/2', 'x-own': 'new' };
    expect(mergeNotModified(stored, said)).toEqual({ ...stored, 'x-own': 'new' });
  });
});

describe('variants (RFC 9111 §4.1)', () => {
  const cases: [field: string | null, expected: readonly string[] | null][] = [
    [null, []],
    ['', []],
    ['Foo', ['foo']],
    ['b, A,,b', ['a', 'b']],
    ['*', null],
    [', *', null],
    ['Foo, *', null],
    ['Cookie', null],
    ['User-Agent', null],
    ['b@d name', null],
    ['a,b,c,d,e,f,g,h,i', null],
  ];
  test.each(cases)('Vary: %p', (field, expected) => {
    const found = varyOf(field);
    expect('names' in found ? found.names : null).toEqual(expected);
  });

  const same: [name: string, one: string, other: string, isSame: boolean][] = [
    ['foo', '1, 2', '1,2', true],
    ['foo', '1,2', '2,1', false],
    ['foo', '"a , b"', '"a,b"', false],
    ['foo', ' 1  2 ', '1 2', true],
    ['accept-language', 'EN, de', 'en,DE', true],
    ['accept-language', 'en, de', 'de, en', false],
    ['accept-encoding', 'gzip, deflate, br', 'br;q=0.9, gzip', true],
    ['accept-encoding', 'X-Gzip ,\tBR', 'br;q=1.0, gzip;q=0.1', true],
    ['accept-encoding', 'gzipped, x-br, zst', 'identity;q=1', true],
    ['accept-encoding', 'gzip, zstd', 'gzip, br;q=0, zstd', true],
    ['accept-encoding', 'gzip, br', 'gzip;q=1', false],
    ['accept-encoding', 'gzip', 'gzip;q=0', false],
    ['accept-encoding', 'identity', '', true],
    ['accept-encoding', '*', 'gzip', true],
  ];
  test.each(same)('%s: %p and %p are the same: %p', (name, one, other, isSame) => {
    const variant = (value: string) => variantOf([name], new Headers({ [name]: value }));
    expect(variant(one) === variant(other)).toBe(isSame);
  });

  test('an absent field is not an empty one, and one that is endless is no variant', () => {
    expect(variantOf(['foo'], new Headers())).not.toBe(variantOf(['foo'], new Headers({ foo: '' })));
    expect(variantOf(['foo'], new Headers({ foo: 'x'.repeat(5000) }))).toBeNull();
  });
});

describe('keys hold what the origin will be asked', () => {
  const cases: [url: string, isSecure: boolean, key: string][] = [
    ['http://localhost/a', false, 'http://localhost/a'],
    ['http://localhost/a', true, 'https://localhost/a'],
    ['http://localhost/a?', false, 'http://localhost/a?'],
    ['http://localhost/a%2fb', false, 'http://localhost/a%2fb'],
    ['http://localhost/a/../b', false, 'http://localhost/b'],
    ['http://localhost/a/%2e%2E/b', false, 'http://localhost/b'],
    ['http://localhost/a\\b', false, 'http://localhost/a/b'],
    ['http://LOCALHOST:80/a', false, 'http://localhost/a'],
    ['http://localhost/a?b#c', false, 'http://localhost/a?b'],
    ['http://[::1]:3000/a', false, 'http://[::1]:3000/a'],
  ];
  test.each(cases)('%s, secure %p', (url, isSecure, key) => expect(cacheKeyOf(url, isSecure)).toBe(key));
});

describe('requests that go past the store', () => {
  const rule = { name: 'test', mode: 'respect' } as const;
  const cases: [headers: Record<string, string>, detail: string | null][] = [
    [{}, null],
    [{ cookie: 'theme=dark; lang=de' }, null],
    [{ cookie: 'PHPSESSID=1' }, 'login-cookie'],
    [{ cookie: 'x=1;  Laravel_Session=1' }, 'login-cookie'],
    [{ cookie: 'wordpress_logged_in_0f=1' }, 'login-cookie'],
    [{ cookie: 'DokuWiki=1' }, 'login-cookie'],
    [{ cookie: 'connect.sid=1' }, 'login-cookie'],
    [{ cookie: 'note=PHPSESSID' }, null],
    [{ cookie: `${'auth'.repeat(4000)}` }, 'login-cookie'],
    [{ 'content-length': '3' }, 'content'],
    [{ 'content-length': '0' }, null],
    [{ 'transfer-encoding': 'chunked' }, 'content'],
    [{ 'if-match': '"a"' }, 'precondition'],
    [{ connection: 'host' }, 'connection'],
    [{ connection: 'close, Accept-Language' }, 'connection'],
    [{ connection: 'Keep-Alive,, TE,\tUpgrade, HTTP2-Settings, close' }, null],
  ];
  test.each(cases)('%p', (headers, detail) => {
    const request = new Request('http://localhost/', { headers });
    expect(judgeRequest(request, rule)?.detail ?? null).toBe(detail);
  });
});

test('rules: the longest prefix counts, and ends at a slash', () => {
  const ruleFor = createHttpRules([
    { prefix: '', mode: 'respect' },
    { prefix: '/shop', mode: 'off' },
    { prefix: '/shop/menu', mode: 'force', ttlSeconds: 5 },
  ]);
  const modes = ['/', '/shopping', '/shop', '/shop/a', '/shop/menu/a', '/shop/menus'].map(
    (path) => ruleFor(path, 'p').mode,
  );
  expect(modes).toEqual(['respect', 'respect', 'off', 'off', 'force', 'off']);
  expect(createHttpRules([])('/a', 'proxy /')).toEqual({ name: 'proxy /', mode: 'respect' });
});

test('what a change drops: its URL, and what its answer names on the same origin (RFC 9111 §4.4)', () => {
  const response = (headers: Record<string, string>, status = 200) => ({ status, headers: new Headers(headers) });
  const url = 'http://localhost/a?x';
  expect(invalidatedBy('POST', response({}), url)).toEqual([url]);
  expect(invalidatedBy('M-SEARCH', response({ location: '../b#c' }), url)).toEqual([url, 'http://localhost/b']);
  expect(invalidatedBy('PUT', response({ 'content-location': 'https://localhost/b' }), url)).toEqual([url]);
  expect(invalidatedBy('POST', response({ location: 'http://' }), url)).toEqual([url]);
  expect(invalidatedBy('POST', response({}, 400), url)).toEqual([]);
  expect(invalidatedBy('GET', response({}), url)).toEqual([]);
});

test('Cache-Status (RFC 9211 §2)', () => {
  expect(toCacheStatus({ kind: 'hit', ttl: 4.2 })).toBe('bunkhouse; hit; ttl=5');
  expect(toCacheStatus({ kind: 'hit', ttl: -3, detail: 'origin-error' })).toBe(
    'bunkhouse; hit; ttl=-3; detail=origin-error',
  );
  expect(toCacheStatus({ kind: 'forward', reason: 'uri-miss', status: 200, isStored: true, isCollapsed: true })).toBe(
    'bunkhouse; fwd=uri-miss; fwd-status=200; stored; collapsed',
  );
});
