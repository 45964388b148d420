import { describe, expect, test } from 'bun:test';
import { answer, openHttpCache, settle } from './http-support.ts';

const status = (response: Response) => response.headers.get('cache-status');

describe('what is stored is given again', () => {
  test('a fresh answer, with its age, and the origin is not asked (RFC 9111 §4, §5.1)', async () => {
    const cache = openHttpCache();
    cache.replies(() => answer('hello', { 'cache-control': 'max-age=60', 'x-own': 'yes' }));
    const first = await cache.send('/a');
    expect(await first.text()).toBe('hello');
    expect(status(first)).toBe('bunkhouse; fwd=uri-miss; fwd-status=200; stored');
    expect(first.headers.get('age')).toBeNull();
    await settle();
    cache.clock.turn(10_000);
    const second = await cache.send('/a');
    expect(await second.text()).toBe('hello');
    expect([second.headers.get('age'), second.headers.get('x-own')]).toEqual(['10', 'yes']);
    expect(status(second)).toBe('bunkhouse; hit; ttl=50');
    expect(cache.asked).toHaveLength(1);
    cache.clock.turn(51_000);
    await cache.send('/a');
    expect(cache.asked).toHaveLength(2);
  });

  test('hits share what was made ready of an answer, and nothing that is done to one of them shows in the next', async () => {
    const cache = openHttpCache();
    cache.replies(() => answer('hello', { 'cache-control': 'max-age=60' }));
    await (await cache.send('/a')).text();
    await settle();
    const hit = async () => {
      const response = await cache.send('/a');
      const { age, 'content-length': length, 'x-request-id': id, 'set-cookie': cookie } = response.headers.toJSON();
      response.headers.set('x-request-id', 'of one');
      response.headers.append('set-cookie', 'one=1');
      return [age, length, id, cookie, status(response), await response.text()];
    };
    const fresh = ['0', '5', 'test', undefined, 'bunkhouse; hit; ttl=60', 'hello'];
    expect([await hit(), await hit()]).toEqual([fresh, fresh]);
    cache.clock.turn(1_000);
    const later = ['1', '5', 'test', undefined, 'bunkhouse; hit; ttl=59', 'hello'];
    expect([await hit(), await hit()]).toEqual([later, later]);
    await cache.store.purge({ tags: [], all: true });
    expect((await cache.send('/a')).headers.get('age')).toBeNull();
  });

  test('what was made ready of an answer counts as memory, and is not kept where there is little', async () => {
    const size = 1_000_000;
    const cache = openHttpCache();
    const bytes = () => cache.store.stats().memory.bytes;
    cache.replies(() => answer('x'.repeat(size), { 'cache-control': 'max-age=60' }));
    await (await cache.send('/a')).text();
    await settle();
    const before = bytes();
    for (let round = 0; round < 2; round++) {
      expect((await (await cache.send('/a')).text()).length).toBe(size);
      expect(bytes()).toBe(before + size);
    }
    const small = openHttpCache({}, 4.5 * size);
    small.replies(() => answer('x'.repeat(size), { 'cache-control': 'max-age=60' }));
    await (await small.send('/a')).text();
    await settle();
    for (const path of ['/b', '/c', '/d', '/a']) {
      await (await small.send(path)).text();
      await settle();
      expect((await (await small.send(path)).text()).length).toBe(size);
      expect(small.store.stats().memory.bytes).toBeLessThanOrEqual(4.5 * size);
    }
  });

  test('HEAD is answered from the stored GET, and never fills the store', async () => {
    const cache = openHttpCache();
    cache.replies(({ method }) =>
      method === 'HEAD'
        ? new Response(null, { headers: { 'cache-control': 'max-age=60', 'content-length': '5' } })
        : answer('hello', { 'cache-control': 'max-age=60' }),
    );
    await cache.send('/a', { method: 'HEAD' });
    const got = await cache.send('/a');
    expect(await got.text()).toBe('hello');
    await settle();
    const head = await cache.send('/a', { method: 'HEAD' });
    expect([await head.text(), head.headers.get('content-length')]).toEqual(['', '5']);
    expect(cache.asked.map(({ method }) => method)).toEqual(['HEAD', 'GET']);
  });

  test('a part of a stored whole (RFC 9110 §14), and 416 beyond it', async () => {
    const cache = openHttpCache();
    cache.replies(() =>
      answer('0123456789', { 'cache-control': 'max-age=60', etag: '"v1"', 'content-type': 'text/plain' }),
    );
    await (await cache.send('/a')).text();
    await settle();
    const part = await cache.send('/a', { headers: { range: 'bytes=2-4' } });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 2-4/10', '234']);
    const parts = await cache.send('/a', { headers: { range: 'bytes=0-0,-1' } });
    expect(parts.headers.get('content-type')).toStartWith('multipart/byteranges');
    expect(await parts.text()).toContain('bytes 9-9/10');
    const old = await cache.send('/a', { headers: { range: 'bytes=2-4', 'if-range': '"v0"' } });
    expect([old.status, await old.text()]).toEqual([200, '0123456789']);
    const beyond = cache.send('/a', { headers: { range: 'bytes=50-' } }).then(
      () => null,
      (error: unknown) => (error as { code: string }).code,
    );
    expect(await beyond).toBe('content/range-not-satisfiable');
    expect(cache.asked).toHaveLength(1);
  });

  test('a part of what is not stored is the origin’s to send, and is not kept (RFC 9111 §3.3)', async () => {
    const cache = openHttpCache();
    cache.replies(({ headers }) =>
      headers.has('range')
        ? new Response('23', {
            status: 206,
            headers: { 'content-range': 'bytes 2-3/10', 'cache-control': 'max-age=60' },
          })
        : answer('0123456789', { 'cache-control': 'max-age=60' }),
    );
    expect(await (await cache.send('/a', { headers: { range: 'bytes=2-3' } })).text()).toBe('23');
    expect(await (await cache.send('/a')).text()).toBe('0123456789');
    expect(cache.asked).toHaveLength(2);
  });

  test.each([
    ['"v1"', 304],
    ['W/"v1"', 304],
    ['"x", "v1"', 304],
    ['*', 304],
    ['"v2"', 200],
  ])('a client that asks If-None-Match: %s gets %i from the store (RFC 9111 §4.3.2)', async (ifNoneMatch, expected) => {
    const cache = openHttpCache();
    cache.replies(() => answer('hello', { 'cache-control': 'max-age=60', etag: '"v1"' }));
    // The first one, too: the store was filled by asking for the whole.
    expect((await cache.send('/a', { headers: { 'if-none-match': ifNoneMatch } })).status).toBe(expected);
    await settle();
    const again = await cache.send('/a', { headers: { 'if-none-match': ifNoneMatch } });
    expect(again.status).toBe(expected);
    expect(again.headers.get('etag')).toBe('"v1"');
    expect(cache.asked).toHaveLength(1);
    expect(cache.asked[0]?.headers.has('if-none-match')).toBe(false);
  });

  test('an answer without a validator gets one of ours, for clients alone', async () => {
    const cache = openHttpCache();
    cache.replies(() => answer('page', { 'cache-control': 'max-age=60' }));
    await (await cache.send('/a')).text();
    await settle();
    const etag = (await cache.send('/a')).headers.get('etag') ?? '';
    expect(etag).toMatch(/^W\/"b-[\w-]{22}"$/);
    expect((await cache.send('/a', { headers: { 'if-none-match': etag } })).status).toBe(304);
    cache.clock.turn(61_000);
    await cache.send('/a');
    expect(cache.asked[1]?.headers.has('if-none-match')).toBe(false);
  });
});

describe('asking again', () => {
  test('uses the stored validators, and a 304 brings the fields up to date but not the length (RFC 9111 §3.2, §4.3)', async () => {
    const cache = openHttpCache();
    cache.replies(({ headers }) =>
      headers.get('if-none-match') === '"v1"'
        ? new Response(null, {
            status: 304,
            headers: { etag: '"v1"', 'cache-control': 'max-age=100', 'x-own': 'two', 'content-length': '99' },
          })
        : answer('hello', { 'cache-control': 'max-age=10', etag: '"v1"', 'x-own': 'one', 'x-kept': 'yes' }),
    );
    await (await cache.send('/a')).text();
    await settle();
    cache.clock.turn(11_000);
    for (const [expected, turn] of [
      ['bunkhouse; fwd=stale; fwd-status=304; stored', 20_000],
      ['bunkhouse; hit; ttl=80', 0],
    ] as const) {
      const response = await cache.send('/a');
      expect([status(response), await response.text()]).toEqual([expected, 'hello']);
      expect(['x-own', 'x-kept', 'content-length'].map((name) => response.headers.get(name))).toEqual([
        'two',
        'yes',
        '5',
      ]);
      cache.clock.turn(turn);
    }
    expect(cache.asked).toHaveLength(2);
  });

  test('a 304 that forbids storing ends it', async () => {
    const cache = openHttpCache();
    cache.replies(({ headers }) =>
      headers.has('if-none-match')
        ? new Response(null, { status: 304, headers: { 'cache-control': 'private' } })
        : answer('hello', { 'cache-control': 'max-age=1', etag: '"v1"' }),
    );
    await (await cache.send('/a')).text();
    await settle();
    cache.clock.turn(2_000);
    expect(await (await cache.send('/a')).text()).toBe('hello');
    await cache.send('/a');
    expect(cache.asked.map(({ headers }) => headers.has('if-none-match'))).toEqual([false, true, false]);
  });

  test('stale-while-revalidate answers at once and renews behind it, once (RFC 5861 §3)', async () => {
    const cache = openHttpCache();
    let version = 1;
    cache.replies(() => answer(`v${version++}`, { 'cache-control': 'max-age=10, stale-while-revalidate=30' }));
    await (await cache.send('/a')).text();
    await settle();
    cache.clock.turn(15_000);
    const stale = await Promise.all([cache.send('/a'), cache.send('/a'), cache.send('/a')]);
    expect(await Promise.all(stale.map((response) => response.text()))).toEqual(['v1', 'v1', 'v1']);
    expect(stale[0] && status(stale[0])).toBe('bunkhouse; hit; ttl=-5');
    await settle();
    expect(await (await cache.send('/a')).text()).toBe('v2');
    expect(cache.asked).toHaveLength(2);
    cache.clock.turn(41_000);
    expect(await (await cache.send('/a')).text()).toBe('v3');
  });

  test('a renewal that fails leaves what there is, and is told', async () => {
    const cache = openHttpCache();
    cache.replies(() => answer('v1', { 'cache-control': 'max-age=10, stale-while-revalidate=30' }));
    await (await cache.send('/a')).text();
    await settle();
    cache.clock.turn(15_000);
    cache.replies(() => new Error('down'));
    expect(await (await cache.send('/a')).text()).toBe('v1');
    await settle();
    expect(await (await cache.send('/a')).text()).toBe('v1');
  });

  describe('when the origin fails, a stale answer stands in (RFC 5861 §4, RFC 9111 §4.2.4)', () => {
    const cases: [control: string, failure: 'down' | 503, ageSeconds: number, expected: 'stale' | 'failure'][] = [
      ['max-age=10, stale-if-error=60', 'down', 30, 'stale'],
      ['max-age=10, stale-if-error=60', 503, 30, 'stale'],
      ['max-age=10, stale-if-error=60', 'down', 80, 'failure'],
      ['max-age=10, stale-if-error=60', 503, 80, 'failure'],
      ['max-age=10', 'down', 30, 'stale'],
      ['max-age=10', 503, 30, 'failure'],
      ['max-age=10, must-revalidate', 'down', 30, 'failure'],
      ['max-age=10, proxy-revalidate, stale-if-error=60', 'down', 30, 'failure'],
      ['s-maxage=10, stale-if-error=60', 'down', 30, 'failure'],
      ['max-age=10, no-cache', 'down', 5, 'failure'],
    ];
    test.each(cases)('%s, origin %p, after %i s: %s', async (control, failure, ageSeconds, expected) => {
      const cache = openHttpCache();
      cache.replies(() => answer('kept', { 'cache-control': control, etag: '"v1"' }));
      await (await cache.send('/a')).text();
      await settle();
      cache.clock.turn(ageSeconds * 1000);
      cache.replies(() => (failure === 'down' ? new Error('down') : answer('failed', {}, failure)));
      const got = await cache.send('/a').then(
        (response) => response.text(),
        () => 'down',
      );
      expect(got).toBe(expected === 'stale' ? 'kept' : failure === 'down' ? 'down' : 'failed');
    });
  });
});

describe('what is not shared', () => {
  const cases: [what: string, headers: Record<string, string>, request?: Record<string, string>][] = [
    ['an answer with Set-Cookie', { 'cache-control': 'public, max-age=60', 'set-cookie': 'a=b' }],
    ['private', { 'cache-control': 'private, max-age=60' }],
    ['no-store', { 'cache-control': 'max-age=60, No-Store' }],
    ['no-cache that names fields', { 'cache-control': 'max-age=60, no-cache="x-own"' }],
    ['Vary: *', { 'cache-control': 'max-age=60', vary: 'Accept, *' }],
    ['Vary: Cookie', { 'cache-control': 'max-age=60', vary: 'Cookie' }],
    ['an answer that says nothing', {}],
    ['an answer to Authorization (RFC 9111 §3.5)', { 'cache-control': 'max-age=60' }, { authorization: 'Bearer x' }],
    ['an answer to PHP’s session', { 'cache-control': 'max-age=60' }, { cookie: 'a=b; PHPSESSID=1' }],
    ['an answer to a WordPress login', { 'cache-control': 'max-age=60' }, { cookie: 'wordpress_logged_in_ab12=x' }],
    ['an answer to a GET with content', { 'cache-control': 'max-age=60' }, { 'content-length': '3' }],
  ];
  test.each(cases)('%s', async (_what, headers, request = {}) => {
    const cache = openHttpCache();
    let count = 0;
    cache.replies(() => answer(`for ${++count}`, headers));
    expect(await (await cache.send('/a', { headers: request })).text()).toBe('for 1');
    await settle();
    expect(await (await cache.send('/a', { headers: request })).text()).toBe('for 2');
    expect(await (await cache.send('/a')).text()).toBe('for 3');
  });

  test('a stored answer is not given to somebody with Authorization, unless it says that it may', async () => {
    const cache = openHttpCache();
    cache.replies(({ url }) =>
      answer(url.endsWith('/open') ? 'all' : 'mine', {
        'cache-control': url.endsWith('/open') ? 'public, max-age=60' : 'max-age=60',
      }),
    );
    for (const path of ['/open', '/closed']) await (await cache.send(path)).text();
    await settle();
    const headers = { authorization: 'Bearer x' };
    expect(status(await cache.send('/open', { headers }))).toStartWith('bunkhouse; hit');
    expect(status(await cache.send('/closed', { headers }))).toBe(
      'bunkhouse; fwd=request; fwd-status=200; detail=authorization',
    );
  });

  test('what the client says of freshness opens nothing: max-stale, and no-cache does not reach the origin', async () => {
    const cache = openHttpCache();
    cache.replies(() => answer('x', { 'cache-control': 'max-age=10, proxy-revalidate', etag: '"v"' }));
    await (await cache.send('/a')).text();
    await settle();
    for (let storm = 0; storm < 50; storm++) {
      await cache.send('/a', { headers: { 'cache-control': 'no-cache', pragma: 'no-cache' } });
    }
    expect(cache.asked).toHaveLength(1);
    cache.clock.turn(11_000);
    await cache.send('/a', { headers: { 'cache-control': 'max-stale=99999' } });
    expect(cache.asked).toHaveLength(2);
  });

  test('only-if-cached is 504 when nothing may be given (RFC 9111 §5.2.1.7)', async () => {
    const cache = openHttpCache();
    const code = await cache.send('/a', { headers: { 'cache-control': 'only-if-cached' } }).then(
      () => null,
      (error: unknown) => (error as { code: string }).code,
    );
    expect(code).toBe('http-cache/nothing-stored');
    expect(cache.asked).toHaveLength(0);
  });

  test('force keeps what says nothing of itself, and never what is somebody’s own', async () => {
    const cache = openHttpCache();
    const rule = { name: 'forced', mode: 'force', ttlSeconds: 30 } as const;
    cache.replies(({ url }) =>
      answer(
        'x',
        url.endsWith('/own') ? { 'set-cookie': 'a=b' } : url.endsWith('/bad') ? {} : { expires: '0' },
        url.endsWith('/bad') ? 500 : 200,
      ),
    );
    for (const path of ['/plain', '/own', '/bad']) {
      await (await cache.send(path, { rule })).text();
      await settle();
      await (await cache.send(path, { rule })).text();
    }
    expect(cache.asked.map(({ url }) => new URL(url).pathname)).toEqual(['/plain', '/own', '/own', '/bad', '/bad']);
    await cache.send('/plain', { rule: { name: 'off', mode: 'off' } });
    expect(cache.asked).toHaveLength(6);
  });
});

describe('keys', () => {
  const different: [string, string][] = [
    ['/a', '/a?'],
    ['/a?u=1', '/a?u=2'],
    ['/a/b', '/a%2fb'],
    ['/a', '/A'],
    ['/a?x=1&y=2', '/a?y=2&x=1'],
    ['/a', '/a/'],
  ];
  test.each(different)('%s and %s are two', async (one, other) => {
    const cache = openHttpCache();
    cache.replies(({ url }) => answer(url, { 'cache-control': 'max-age=60' }));
    const first = await (await cache.send(one)).text();
    await settle();
    expect(await (await cache.send(other)).text()).not.toBe(first);
  });

  test('hosts do not share, and neither do TLS and plain', async () => {
    const cache = openHttpCache();
    cache.replies(({ url }) => answer(new URL(url).host, { 'cache-control': 'max-age=60' }));
    expect(await (await cache.send('/a', { host: 'one.example' })).text()).toBe('one.example');
    await settle();
    expect(await (await cache.send('/a', { host: 'two.example' })).text()).toBe('two.example');
  });

  test('a client that takes fields out of its request (`Connection`) fills nothing for those who sent them', async () => {
    const cache = openHttpCache();
    cache.replies(({ headers }) =>
      answer(headers.get('accept-language') ?? 'none', { 'cache-control': 'max-age=60', vary: 'accept-language' }),
    );
    const headers = { 'accept-language': 'de' };
    await (await cache.send('/a', { headers: { ...headers, connection: 'accept-language' } })).text();
    await settle();
    expect(await (await cache.send('/a', { headers })).text()).toBe('de');
    expect(cache.asked).toHaveLength(2);
  });

  test('what a client could use to make the origin answer something else does not reach it', async () => {
    const cache = openHttpCache();
    await cache.send('/a', {
      headers: {
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'https',
        'x-forwarded-for': '203.0.113.9',
        forwarded: 'host=evil.example',
        'x-original-url': '/admin',
        'x-rewrite-url': '/admin',
        'x-http-method-override': 'DELETE',
        'x-kept': 'yes',
        connection: 'te',
        te: 'trailers',
      },
    });
    expect([...(cache.asked[0]?.headers.keys() ?? [])]).toEqual(['x-kept']);
  });
});

describe('variants', () => {
  test('requests that say the same in the fields of Vary share, others do not (RFC 9111 §4.1)', async () => {
    const cache = openHttpCache();
    cache.replies(({ headers }) => answer(`${headers.get('foo')}`, { 'cache-control': 'max-age=60', vary: 'Foo' }));
    const get = async (foo: string | null) => {
      const text = await (await cache.send('/a', foo === null ? {} : { headers: { foo } })).text();
      await settle();
      return text;
    };
    expect([await get('1'), await get('2'), await get('1'), await get(null), await get('')]).toEqual([
      '1',
      '2',
      '1',
      'null',
      '',
    ]);
    expect(cache.asked).toHaveLength(4);
  });

  test.each(['constructor', '__proto__', 'toString'])('Vary: %s is a field like any other', async (name) => {
    const cache = openHttpCache();
    let count = 0;
    cache.replies(() => answer(`${++count}`, { 'cache-control': 'max-age=60', vary: name }));
    await (await cache.send('/a', { headers: { [name]: 'one' } })).text();
    await settle();
    expect(await (await cache.send('/a', { headers: { [name]: 'two' } })).text()).toBe('2');
  });

  test('ten thousand of them take the room of sixteen', async () => {
    const cache = openHttpCache();
    cache.replies(({ headers }) => answer(headers.get('foo') ?? '', { 'cache-control': 'max-age=60', vary: 'Foo' }));
    for (let index = 0; index < 10_000; index++)
      await (await cache.send('/a', { headers: { foo: `${index}` } })).text();
    await settle();
    const { items } = await cache.store.list({ space: 'http', prefix: '', limit: 100 });
    expect(items.length).toBeLessThanOrEqual(17);
    const last = await cache.send('/a', { headers: { foo: '9999' } });
    expect(status(last)).toStartWith('bunkhouse; hit');
  }, 30_000);

  test('variants of a list that is gone are out of reach', async () => {
    const cache = openHttpCache();
    cache.replies(({ headers }) => answer(`${headers.get('foo')}`, { 'cache-control': 'max-age=60', vary: 'Foo' }));
    const get = async (foo: string) => {
      await (await cache.send('/a', { headers: { foo } })).text();
      await settle();
    };
    await get('1');
    await get('2');
    await cache.send('/a', { method: 'POST' });
    await get('1');
    expect(cache.asked).toHaveLength(4);
    await get('2');
    expect(cache.asked).toHaveLength(5);
  });
});

describe('unsafe methods', () => {
  test.each([
    ['POST', 200, true],
    ['PUT', 303, true],
    ['DELETE', 404, false],
    ['PATCH', 500, false],
    ['OPTIONS', 200, false],
  ])('%s with %i drops what is stored: %p (RFC 9111 §4.4)', async (method, code, isDropped) => {
    const cache = openHttpCache();
    cache.replies(() => answer('x', { 'cache-control': 'max-age=60' }));
    await (await cache.send('/a')).text();
    await settle();
    cache.replies(() => answer('done', {}, code));
    await cache.send('/a', { method });
    cache.replies(() => answer('new', { 'cache-control': 'max-age=60' }));
    expect(await (await cache.send('/a')).text()).toBe(isDropped ? 'new' : 'x');
  });

  test('and what the answer names on the same origin, and nothing elsewhere', async () => {
    const cache = openHttpCache();
    cache.replies(({ url }) => answer(url, { 'cache-control': 'max-age=60' }));
    for (const host of ['localhost', 'other.example']) {
      for (const path of ['/one', '/two']) await (await cache.send(path, { host })).text();
    }
    await settle();
    cache.replies(() => answer('done', { location: '/one', 'content-location': 'http://other.example/two' }));
    await cache.send('/form', { method: 'POST' });
    const before = cache.asked.length;
    await cache.send('/one');
    expect(cache.asked).toHaveLength(before + 1);
    await cache.send('/two');
    await cache.send('/two', { host: 'other.example' });
    expect(cache.asked).toHaveLength(before + 1);
  });

  test('a change while an answer is on its way keeps that answer out', async () => {
    const cache = openHttpCache();
    const slow = Promise.withResolvers<Response>();
    cache.replies(({ method }) => (method === 'GET' ? slow.promise : answer('done')));
    const old = cache.send('/a');
    await settle();
    await cache.send('/a', { method: 'POST' });
    slow.resolve(answer('before the change', { 'cache-control': 'max-age=60' }));
    expect(await (await old).text()).toBe('before the change');
    await settle();
    cache.replies(() => answer('after the change', { 'cache-control': 'max-age=60' }));
    expect(await (await cache.send('/a')).text()).toBe('after the change');
  });
});

describe('many requests at once', () => {
  test('a hundred for one cold answer ask once', async () => {
    const cache = openHttpCache();
    const slow = Promise.withResolvers<Response>();
    cache.replies(() => slow.promise);
    const all = Array.from({ length: 100 }, () => cache.send('/a'));
    await settle();
    slow.resolve(answer('once', { 'cache-control': 'max-age=60' }));
    const texts = await Promise.all(all.map(async (each) => (await each).text()));
    expect(new Set(texts)).toEqual(new Set(['once']));
    expect(cache.asked).toHaveLength(1);
    expect(cache.space.counts.coalesced).toBe(99);
  });

  test('what is not for sharing is asked for by each, and from then on at once', async () => {
    const cache = openHttpCache();
    let count = 0;
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    cache.replies(async () => {
      const mine = ++count;
      await gates[mine === 1 ? 0 : 1]?.promise;
      return answer(`for ${mine}`, { 'cache-control': 'private' });
    });
    const first = Array.from({ length: 5 }, () => cache.send('/a'));
    await settle();
    expect(cache.asked).toHaveLength(1);
    gates[0]?.resolve();
    await settle();
    expect(cache.asked).toHaveLength(5);
    const second = Array.from({ length: 5 }, () => cache.send('/a'));
    await settle();
    expect(cache.asked).toHaveLength(10);
    gates[1]?.resolve();
    const texts = await Promise.all([...first, ...second].map(async (each) => (await each).text()));
    expect(new Set(texts).size).toBe(10);
  });

  test('what was made of endless addresses is not remembered', async () => {
    const cache = openHttpCache();
    cache.replies(() => answer('own', { 'cache-control': 'private' }));
    const lengths = [100, 10_000];
    for (const length of lengths) await cache.send(`/${'a'.repeat(length)}`);
    const seen = lengths.map((length) => cache.cache.lastSeen(`http://localhost/${'a'.repeat(length)}`));
    expect(seen).toMatchObject([{ status: 200 }, null]);
  });

  test('people with Authorization never wait for each other', async () => {
    const cache = openHttpCache();
    const slow = Promise.withResolvers<void>();
    cache.replies(async ({ headers }) => {
      await slow.promise;
      return answer(headers.get('authorization') ?? '', { 'cache-control': 'max-age=60' });
    });
    const all = ['a', 'b', 'c'].map((name) => cache.send('/a', { headers: { authorization: name } }));
    await settle();
    expect(cache.asked).toHaveLength(3);
    slow.resolve();
    expect(await Promise.all(all.map(async (each) => (await each).text()))).toEqual(['a', 'b', 'c']);
  });

  test('variants that meet on their way each get their own', async () => {
    const cache = openHttpCache();
    const slow = Promise.withResolvers<void>();
    cache.replies(async ({ headers }) => {
      await slow.promise;
      return answer(headers.get('foo') ?? '', { 'cache-control': 'max-age=60', vary: 'Foo' });
    });
    const all = ['1', '2', '1', '2'].map((foo) => cache.send('/a', { headers: { foo } }));
    await settle();
    slow.resolve();
    expect(await Promise.all(all.map(async (each) => (await each).text()))).toEqual(['1', '2', '1', '2']);
  });

  test('a failure is everybody’s who waited', async () => {
    const cache = openHttpCache();
    const slow = Promise.withResolvers<Response>();
    cache.replies(() => slow.promise);
    const all = Array.from({ length: 3 }, () =>
      cache.send('/a').then(
        () => 'answered',
        () => 'failed',
      ),
    );
    await settle();
    slow.reject(new Error('down'));
    expect(await Promise.all(all)).toEqual(['failed', 'failed', 'failed']);
    expect(cache.asked).toHaveLength(1);
  });

  test('who waited too long for another asks alone', async () => {
    const cache = openHttpCache({ followMs: 20 });
    const slow = Promise.withResolvers<Response>();
    cache.replies(() => (cache.asked.length === 1 ? slow.promise : answer('own', { 'cache-control': 'max-age=60' })));
    const first = cache.send('/a');
    expect(await (await cache.send('/a')).text()).toBe('own');
    slow.resolve(answer('late', { 'cache-control': 'max-age=60' }));
    expect(await (await first).text()).toBe('late');
  });
});

describe('content on its way', () => {
  /** A body whose chunks are sent by hand. */
  function byHand() {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    let isCancelled = false;
    const body = new ReadableStream<Uint8Array>({
      start(given) {
        controller = given;
      },
      cancel() {
        isCancelled = true;
      },
    });
    return {
      body,
      push: (text: string) => controller?.enqueue(new TextEncoder().encode(text)),
      end: () => controller?.close(),
      fail: () => controller?.error(new Error('cut')),
      isCancelled: () => isCancelled,
    };
  }
  const fresh = { 'cache-control': 'max-age=60' };

  test('reaches the one who asked first while it comes, and those who come later from its start', async () => {
    const cache = openHttpCache({ wholeBytes: 5 });
    const stream = byHand();
    cache.replies(() => new Response(stream.body, { headers: { ...fresh, 'content-length': '6' } }));
    const pending = cache.send('/a');
    await settle();
    stream.push('abc');
    const reader = (await pending).body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('abc');
    const follower = await cache.send('/a');
    expect(status(follower)).toBe('bunkhouse; fwd=uri-miss; fwd-status=200; collapsed');
    stream.push('def');
    stream.end();
    expect(await follower.text()).toBe('abcdef');
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('def');
    expect(cache.asked).toHaveLength(1);
    await settle();
    expect(await (await cache.send('/a')).text()).toBe('abcdef');
  });

  test.each([
    ['falls silent', () => undefined],
    ['breaks off', (stream: ReturnType<typeof byHand>) => stream.fail()],
  ])('that %s reaches nobody who came later when it is short: they ask again', async (_what, spoil) => {
    const cache = openHttpCache({ followMs: 20 });
    const stream = byHand();
    cache.replies(() => new Response(stream.body, { headers: { ...fresh, 'content-length': '6' } }));
    const first = cache.send('/a');
    stream.push('abc');
    await first;
    const follower = cache.send('/a');
    await settle();
    expect(cache.asked).toHaveLength(1);
    cache.replies(() => answer('abcdef', fresh));
    spoil(stream);
    expect(await (await follower).text()).toBe('abcdef');
    expect(cache.asked).toHaveLength(2);
  });

  test.each([
    ['breaks off', (stream: ReturnType<typeof byHand>) => stream.fail()],
    ['is shorter than its Content-Length', (stream: ReturnType<typeof byHand>) => stream.end()],
  ])('that %s is not stored', async (_what, finish) => {
    const cache = openHttpCache();
    const stream = byHand();
    cache.replies(() => new Response(stream.body, { headers: { ...fresh, 'content-length': '100' } }));
    const pending = cache.send('/a');
    await settle();
    stream.push('abc');
    const response = await pending;
    finish(stream);
    await response.text().catch(() => undefined);
    await settle();
    cache.replies(() => answer('whole', fresh));
    expect(await (await cache.send('/a')).text()).toBe('whole');
  });

  test('that outgrows what is stored goes on to its reader, at that one’s pace, and is forgotten', async () => {
    const cache = openHttpCache({ maxBodyBytes: 1000 });
    let pulled = 0;
    cache.replies(
      () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              if (pulled++ === 1000) controller.close();
              else controller.enqueue(new Uint8Array(100).fill(97));
            },
          }),
          { headers: fresh },
        ),
    );
    const response = await cache.send('/a');
    await settle();
    expect(pulled).toBeLessThan(20);
    expect((await response.arrayBuffer()).byteLength).toBe(100_000);
    await settle();
    expect((await cache.store.list({ space: 'http', prefix: '', limit: 10 })).items).toEqual([]);
    expect(cache.asked).toHaveLength(1);
  });

  test('that nobody reads any more is given up when it cannot be stored, and is stored when it can', async () => {
    const cache = openHttpCache({ maxBodyBytes: 10 });
    const large = byHand();
    cache.replies(() => new Response(large.body, { headers: fresh }));
    await (await cache.send('/large')).body?.cancel();
    large.push('more than ten bytes');
    await settle();
    expect(large.isCancelled()).toBe(true);
    const small = byHand();
    cache.replies(() => new Response(small.body, { headers: fresh }));
    await (await cache.send('/small')).body?.cancel();
    small.push('few');
    small.end();
    await settle();
    expect(await (await cache.send('/small')).text()).toBe('few');
    expect(cache.asked).toHaveLength(2);
  });

  test.each([
    ['of a declared length', { 'content-length': '6' }],
    ['of an open end', {}],
  ])('%s that falls silent breaks off, is not stored, and keeps nobody from asking', async (_what, length) => {
    const cache = openHttpCache({ silenceMs: 20 });
    const stream = byHand();
    cache.replies(() => new Response(stream.body, { headers: { ...fresh, ...length } }));
    stream.push('abc');
    const text = await (await cache.send('/a')).text().catch(() => 'broken');
    expect([text, stream.isCancelled()]).toEqual(['broken', true]);
    await settle();
    cache.replies(() => answer('whole', fresh));
    expect(await (await cache.send('/a')).text()).toBe('whole');
  });

  test('that has not moved for long is not waited for', async () => {
    const cache = openHttpCache({ wholeBytes: 5 });
    const stream = byHand();
    cache.replies(() => new Response(stream.body, { headers: { ...fresh, 'content-length': '6' } }));
    const pending = cache.send('/a');
    await settle();
    stream.push('abc');
    const first = await pending;
    cache.clock.turn(9_000);
    const follower = await cache.send('/a');
    expect(status(follower)).toContain('collapsed');
    cache.clock.turn(2_000);
    cache.replies(() => answer('own', fresh));
    expect(await (await cache.send('/a')).text()).toBe('own');
    stream.push('def');
    stream.end();
    expect([await first.text(), await follower.text()]).toEqual(['abcdef', 'abcdef']);
  });

  test('takes no more memory in all than allowed: what comes beyond it is not stored', async () => {
    const cache = openHttpCache({ maxFillBytes: 1000 });
    const streams = Array.from({ length: 3 }, byHand);
    let next = 0;
    cache.replies(() => new Response(streams[next++]?.body, { headers: { ...fresh, 'content-length': '400' } }));
    const sent = streams.map((_, index) => cache.send(`/${index}`));
    await settle();
    for (const stream of streams) {
      stream.push('x'.repeat(400));
      stream.end();
    }
    for (const response of await Promise.all(sent)) expect(await response.text()).toHaveLength(400);
    await settle();
    cache.replies(() => answer('again', fresh));
    const texts = await Promise.all([0, 1, 2].map(async (index) => (await cache.send(`/${index}`)).text()));
    expect(texts.map((text) => text.length)).toEqual([400, 400, 5]);
  });
});
