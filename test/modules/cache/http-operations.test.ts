import { describe, expect, test } from 'bun:test';
import { createHttpOperations } from '../../../src/modules/cache/http-operations.ts';
import { answer, openHttpCache, RESPECT, settle } from './http-support.ts';

const PUBLIC = 'https://site.example';

function openOperations() {
  const under = openHttpCache();
  const operations = createHttpOperations({
    cache: under.cache,
    purge: (order) => under.store.purge(order),
    origins: () => [
      { find: (path) => (path.startsWith('/shop') ? { rule: RESPECT, fetchOrigin: under.origin } : null) },
    ],
    publicUrl: () => PUBLIC,
    isHostAllowed: (host) => host === 'site.example' || host === 'localhost',
    now: under.clock.now,
  });
  const fill = async (path: string, init: Parameters<typeof under.send>[1] = {}) => {
    const text = await (await under.send(path, init)).text();
    await settle();
    return text;
  };
  return { ...under, operations, fill };
}
const fresh = { 'cache-control': 'max-age=60' };

describe('explain', () => {
  const none = new Headers();

  test('names rule, key, freshness and reason of what is stored, and changes nothing', async () => {
    const { operations, fill, replies, clock, asked } = openOperations();
    replies(() => answer('x', { 'cache-control': 's-maxage=60, max-age=5', etag: '"v"' }));
    await fill('/shop/a');
    clock.turn(10_000);
    const said = await operations.explain('http://localhost/shop/a', none);
    expect(said).toMatchObject({
      rule: 'test',
      mode: 'respect',
      key: 'http://localhost/shop/a',
      outcome: 'hit',
      isStorable: true,
      freshness: { lifetimeSeconds: 60, ageSeconds: 10, source: 's-maxage' },
      reason: 's-maxage says 60 s',
    });
    clock.turn(60_000);
    expect(await operations.explain('http://localhost/shop/a', none)).toMatchObject({
      outcome: 'stale',
      reason: 'its lifetime is over',
    });
    expect(asked).toHaveLength(1);
  });

  const answers: [headers: Record<string, string>, status: number, reason: string, isStorable: boolean][] = [
    [{ 'set-cookie': 'a=b', ...fresh }, 200, 'set-cookie makes it one person’s answer', false],
    [{ 'cache-control': 'private' }, 200, 'cache-control private', false],
    [{ 'cdn-cache-control': 'no-store', ...fresh }, 200, 'cdn-cache-control no-store', false],
    [{ vary: 'Cookie', ...fresh }, 200, 'it varies by cookie', false],
    [{}, 200, 'nothing says how long it is fresh', false],
    [{ expires: '0' }, 200, 'expires says it is stale at once', false],
    [fresh, 206, 'status 206 is not stored', false],
    [fresh, 200, 'max-age says 60 s', true],
    [{ 'cdn-cache-control': 'max-age=30', ...fresh }, 200, 'cdn-cache-control max-age says 30 s', true],
    [{ etag: '"v"' }, 200, 'kept to be asked about again', true],
  ];
  test.each(answers)(
    'asks once, without storing, where nothing is stored: %p, %i',
    async (headers, status, reason, isStorable) => {
      const { operations, replies, asked, store } = openOperations();
      replies(() => answer('x', headers, status));
      expect(await operations.explain('/shop/a', none)).toMatchObject({ outcome: 'miss', reason, isStorable });
      expect(asked).toHaveLength(1);
      await settle();
      expect((await store.list({ space: 'http', prefix: '', limit: 10 })).items).toEqual([]);
    },
  );

  test('judges by the answer that was seen last, also where it could not ask (a script’s page)', async () => {
    const { operations, fill, replies, asked } = openOperations();
    replies(() => answer('x', { 'cache-control': 'private' }));
    for (const path of ['/shop/a', '/script']) {
      await fill(path);
      const said = await operations.explain(`http://localhost${path}`, none);
      expect(said).toMatchObject({ rule: 'test', outcome: 'miss', isStorable: false, reason: 'cache-control private' });
    }
    replies(() => answer('x', fresh));
    await fill('/script');
    expect((await operations.explain('http://localhost/script', none)).outcome).toBe('hit');
    expect(asked).toHaveLength(3);
  });

  test('says why a request goes past the store', async () => {
    const { operations, asked } = openOperations();
    expect(await operations.explain('/shop/a', new Headers({ cookie: 'PHPSESSID=1' }))).toMatchObject({
      outcome: 'bypass',
      reason: 'the request has a cookie by which applications know somebody',
    });
    expect(await operations.explain('/shop/a', new Headers({ connection: 'host' }))).toMatchObject({
      reason: 'the request takes fields of its own out by Connection, which the key does not know',
    });
    expect(await operations.explain('/elsewhere', none)).toMatchObject({ outcome: 'bypass', rule: null });
    expect(await operations.explain('http://', none)).toMatchObject({ outcome: 'bypass', rule: null });
    expect(asked).toHaveLength(0);
  });

  test('an origin that is gone is a reason, too', async () => {
    const { operations, replies } = openOperations();
    replies(() => new Error('down'));
    expect(await operations.explain('/shop/a', none)).toMatchObject({
      outcome: 'miss',
      reason: 'the origin cannot be reached',
    });
  });
});

describe('purge', () => {
  test('drops a URL in all its variants, whichever scheme it is named by, and counts it once', async () => {
    const { operations, fill, replies, asked } = openOperations();
    replies(() => answer('x', { ...fresh, vary: 'Foo' }));
    for (const foo of ['1', '2']) await fill('/shop/a', { headers: { foo } });
    expect(await operations.purge({ keys: ['https://localhost/shop/a', 'http://localhost/shop/none'] })).toBe(1);
    for (const foo of ['1', '2']) await fill('/shop/a', { headers: { foo } });
    expect(asked).toHaveLength(4);
  });

  test('drops a path on every host', async () => {
    const { operations, fill, replies, asked } = openOperations();
    replies(() => answer('x', fresh));
    for (const host of ['one.example', 'two.example']) await fill('/shop/a', { host });
    expect(await operations.purge({ keys: ['/shop/a'] })).toBe(1);
    for (const host of ['one.example', 'two.example']) await fill('/shop/a', { host });
    expect(asked).toHaveLength(4);
  });

  test('softly makes stale, in all variants: what may be given while it is renewed still is', async () => {
    const { operations, fill, replies, asked } = openOperations();
    let version = 1;
    replies(({ headers }) =>
      answer(`${headers.get('foo')} v${version}`, {
        'cache-control': 'max-age=60, stale-while-revalidate=60',
        vary: 'Foo',
      }),
    );
    for (const foo of ['a', 'b']) await fill('/shop/a', { headers: { foo } });
    version = 2;
    expect(await operations.purge({ keys: ['/shop/a'], soft: true })).toBeNull();
    for (const foo of ['a', 'b']) expect(await fill('/shop/a', { headers: { foo } })).toBe(`${foo} v1`);
    for (const foo of ['a', 'b']) expect(await fill('/shop/a', { headers: { foo } })).toBe(`${foo} v2`);
    expect(asked).toHaveLength(4);
  });

  test('by prefix drops what begins with it and leaves the rest', async () => {
    const { operations, fill, replies, asked } = openOperations();
    replies(() => answer('x', fresh));
    for (const path of ['/shop/a/1', '/shop/a/2', '/shop/b']) await fill(path);
    expect(await operations.purge({ prefix: '/shop/a' })).toBeNull();
    for (const path of ['/shop/a/1', '/shop/a/2', '/shop/b']) await fill(path);
    expect(asked).toHaveLength(5);
  });

  test.each(['surrogate-key', 'xkey', 'cache-tags'])(
    'by tag drops what %s named, which no client sees',
    async (name) => {
      const { fill, replies, asked, store, send } = openOperations();
      replies(() => answer('x', { ...fresh, [name]: name === 'cache-tags' ? 'one,two' : 'one two' }));
      expect((await send('/shop/a')).headers.get(name)).toBeNull();
      await settle();
      expect((await send('/shop/a')).headers.get(name)).toBeNull();
      await store.purge({ tags: ['two'] });
      await fill('/shop/a');
      expect(asked).toHaveLength(2);
    },
  );
});

describe('warming up', () => {
  test('stores the answer that clients without conditions get', async () => {
    const { operations, replies, asked } = openOperations();
    replies(() => answer('x', fresh));
    expect(await operations.warm('/shop/a')).toBe(true);
    expect(await operations.warm('https://site.example/shop/a')).toBe(true);
    expect(asked).toHaveLength(1);
    expect((await operations.explain('/shop/a', new Headers())).outcome).toBe('hit');
  });

  test.each([
    ['what is not storable', '/shop/private'],
    ['another host', 'https://evil.example/shop/a'],
    ['a path that nobody caches', '/elsewhere'],
    ['no URL', 'http://'],
    ['another scheme', 'file:///etc/passwd'],
  ])('not of %s', async (_what, url) => {
    const { operations, replies, asked } = openOperations();
    replies(() => answer('x', url.includes('private') ? { 'cache-control': 'private' } : fresh));
    expect(await operations.warm(url)).toBe(false);
    expect(asked).toHaveLength(url.includes('private') ? 1 : 0);
  });
});
