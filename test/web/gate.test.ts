import { describe, expect, test } from 'bun:test';
import { createCors } from '../../src/web/cors.ts';
import type { GateOptions } from '../../src/web/gate.ts';
import type { Fallback } from '../../src/web/module.ts';
import { callerOf, openGate } from './support.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const limits = (count: number) => ({ name: 'default', count, windowSeconds: 60 });

/** A body whose length nobody declared, and which tells how much of it was taken. */
function streamOf(chunks: number, bytesEach: number) {
  let pulled = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (pulled++ >= chunks) controller.close();
      else controller.enqueue(new Uint8Array(bytesEach).fill(0x61));
    },
  });
  return { body, pulled: () => pulled };
}

describe('who may call is judged before the body', () => {
  const bodies: [string, Record<string, string>, string][] = [
    ['JSON that is malformed', JSON_TYPE, '{'],
    ['JSON with a wrong field', JSON_TYPE, '{"text":5}'],
    ['a multipart body without a boundary', { 'content-type': 'multipart/form-data' }, 'x'],
    ['a body of another type', { 'content-type': 'text/plain' }, 'x'],
    ['a body that is too large', JSON_TYPE, 'x'.repeat(2000)],
    ['no type at all', {}, '{}'],
  ];
  test.each(bodies)('no token and %s is 401', async (_what, headers, body) => {
    const gate = openGate();
    for (const path of ['/json', '/admin']) {
      const answer = await gate.send('POST', path, { headers, body });
      expect([answer.status, answer.code]).toEqual([401, 'auth/required']);
      expect(answer.headers.get('www-authenticate')).toStartWith('Bearer');
      expect(answer.request.bodyUsed).toBe(false);
    }
    expect(gate.seen.handled).toEqual([]);
  });

  test.each(bodies)('a missing right and %s is 403', async (_what, headers, body) => {
    const gate = openGate();
    const answer = await gate.send('POST', '/admin', { as: 'ann', headers, body });
    expect([answer.status, answer.code]).toEqual([403, 'auth/forbidden']);
    expect(answer.request.bodyUsed).toBe(false);
    expect(gate.seen.handled).toEqual([]);
  });

  test('nothing of a stream is read for somebody who may not', async () => {
    const gate = openGate();
    const { body, pulled } = streamOf(100, 1000);
    expect((await gate.send('PUT', '/raw', { body })).status).toBe(401);
    // One chunk is made ahead by the stream itself.
    expect(pulled()).toBeLessThanOrEqual(1);
  });

  test('a token that is not believed is 401 where a right is needed, and nobody where none is', async () => {
    const gate = openGate();
    const answer = await gate.send('GET', '/own/1', { as: 'forged' });
    expect([answer.status, answer.code]).toEqual([401, 'auth/invalid-token']);
    expect((await gate.send('GET', '/open', { as: 'forged' })).status).toBe(200);
    expect(gate.seen.answers.at(-1)?.context.caller).toBeNull();
  });

  test('a server key has admin rights, and no account', async () => {
    const gate = openGate();
    expect((await gate.send('POST', '/admin', { as: 'server', headers: JSON_TYPE, body: '{"text":""}' })).status).toBe(
      200,
    );
    const answer = await gate.send('GET', '/own/1', { as: 'server' });
    expect([answer.status, answer.code]).toEqual([403, 'auth/user-required']);
  });

  test('the handler gets the caller', async () => {
    const gate = openGate();
    expect((await gate.send('GET', '/own/7', { as: 'ann' })).json).toEqual({ name: 'own', id: '7', caller: 'ann' });
    const posted = await gate.send('POST', '/json', { as: 'bob', headers: JSON_TYPE, body: '{"text":"abc"}' });
    expect(posted.json).toEqual({ name: 'json', size: 3, caller: 'bob' });
  });

  test('elysia#748: whatever the host, the route whose right is checked is the route that answers', async () => {
    const gate = openGate();
    for (const origin of ['http://a', 'http://ab', 'http://abc', 'https://a', 'http://abcd', 'http://localhost']) {
      for (const path of ['/page/own/1', '/own/1', '/x/own/1', '/page/page/own/1', '/aaaaaaa/page/own/1']) {
        const answer = await gate.send('GET', path, { origin });
        expect([200, 401, 404], `${origin}${path}`).toContain(answer.status);
      }
    }
    expect(gate.seen.handled).not.toContain('own');
  });

  test('a guard on the URL is not what protects a route: odd spellings do not get past', async () => {
    const gate = openGate();
    for (const path of [
      '/own/1/',
      '/own/%31',
      '/own/1?as=ann',
      '/own/1?authorization=Bearer%20ann',
      '/own/..',
      '/own/1;x',
    ]) {
      expect((await gate.send('GET', path)).status, path).not.toBe(200);
    }
    expect(gate.seen.handled).toEqual([]);
  });
});

describe('cookies on requests that change something', () => {
  test.each<[string, Record<string, string>, number]>([
    ['nothing', {}, 403],
    ['a foreign site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['our own site', { 'sec-fetch-site': 'same-origin' }, 200],
    ['a foreign origin', { origin: 'https://page.example' }, 403],
    ['our own origin', { origin: 'http://localhost', host: 'localhost' }, 200],
  ])('with %s to go by', async (_what, headers, status) => {
    const gate = openGate();
    const answer = await gate.send('POST', '/json', {
      headers: { ...JSON_TYPE, ...headers, cookie: 'ann' },
      body: '{"text":""}',
    });
    expect(answer.status).toBe(status);
  });

  test('are believed from an allowed origin, and from * never', async () => {
    const headers = { ...JSON_TYPE, origin: 'https://page.example', 'sec-fetch-site': 'cross-site', cookie: 'ann' };
    const statusWith = async (origins: string[]) =>
      (await openGate({ cors: createCors(origins) }).send('POST', '/json', { headers, body: '{"text":""}' })).status;
    expect(await statusWith(['https://page.example'])).toBe(200);
    expect(await statusWith(['https://other.example'])).toBe(403);
    expect(await statusWith(['*'])).toBe(403);
  });

  test('are refused on routes that anyone may call, too', async () => {
    const gate = openGate();
    const headers = { ...JSON_TYPE, cookie: 'ann', 'sec-fetch-site': 'cross-site' };
    expect((await gate.send('POST', '/sign-in', { headers, body: '{"text":""}' })).code).toBe('auth/cross-site');
    expect((await gate.send('DELETE', '/own/1', { headers: { cookie: 'ann' } })).code).toBe('auth/cross-site');
    expect((await gate.send('GET', '/own/1', { headers: { cookie: 'ann' } })).status).toBe(200);
  });
});

describe('rate limits', () => {
  test('come first: before the right, the path and the body', async () => {
    const gate = openGate({ policies: { default: limits(1), auth: null } });
    await gate.send('GET', '/open');
    for (const [method, path] of [
      ['GET', '/open'],
      ['POST', '/json'],
      ['GET', '/nowhere'],
      ['PROPFIND', '/open'],
      ['OPTIONS', '/open'],
    ] as const) {
      const answer = await gate.send(method, path, method === 'POST' ? { headers: JSON_TYPE, body: '{' } : {});
      expect([answer.status, answer.code], `${method} ${path}`).toEqual([429, 'request/rate-limited']);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect(gate.seen.handled).toEqual(['open']);
  });

  test('count strangers by address, and a caller by who it is', async () => {
    const gate = openGate({ policies: { default: limits(2), auth: null } });
    const from = (address: string) => ({ 'x-test-address': address });
    for (let round = 0; round < 2; round++) {
      expect((await gate.send('GET', '/own/1', { as: 'ann', headers: from(`192.0.2.${round}`) })).status).toBe(200);
    }
    expect((await gate.send('GET', '/own/1', { as: 'ann', headers: from('192.0.2.9') })).status).toBe(429);
    expect((await gate.send('GET', '/own/1', { as: 'bob', headers: from('192.0.2.9') })).status).toBe(200);
    expect((await gate.send('GET', '/open', { headers: from('192.0.2.0') })).status).toBe(200);
  });

  test('a known caller uses nothing of its address, a refused one does', async () => {
    const gate = openGate({ policies: { default: limits(3), auth: null } });
    for (let round = 0; round < 3; round++) {
      expect((await gate.send('GET', '/own/1', { as: 'ann' })).status).toBe(200);
    }
    for (let round = 0; round < 3; round++)
      expect((await gate.send('GET', '/own/1', { as: 'forged' })).status).toBe(401);
    expect((await gate.send('GET', '/own/1', { as: 'forged' })).status).toBe(429);
  });

  test('count a remembered caller alone, whatever its address has left, and refusals of it too', async () => {
    const recall = (request: Request) => {
      const name = request.headers.get('authorization')?.slice('Bearer '.length);
      return name ? callerOf(name) : null;
    };
    const gate = openGate({ policies: { default: limits(2), auth: null }, recall });
    for (const status of [401, 401, 429]) {
      expect((await gate.send('GET', '/own/1', { as: 'forged' })).status).toBe(status);
    }
    const first = await gate.send('GET', '/own/1', { as: 'ann' });
    expect([first.status, first.headers.get('ratelimit')]).toEqual([200, '"default";r=1;t=30']);
    const admin = () => gate.send('POST', '/admin', { as: 'ann', headers: JSON_TYPE, body: '{"text":""}' });
    expect([(await admin()).status, (await admin()).status]).toEqual([403, 429]);
    expect((await gate.send('GET', '/own/1', { as: 'bob' })).status).toBe(200);
    expect((await gate.send('GET', '/open')).status).toBe(429);
  });

  test('of signing in are stricter, by address, and come on top', async () => {
    const gate = openGate({ policies: { default: limits(100), auth: { name: 'auth', count: 2, windowSeconds: 60 } } });
    const attempt = () => gate.send('POST', '/sign-in', { headers: JSON_TYPE, body: '{"text":""}' });
    const first = await attempt();
    expect(first.headers.get('ratelimit-policy')).toBe('"auth";q=2;w=60');
    expect(first.headers.get('ratelimit')).toMatch(/^"auth";r=1;t=\d+$/);
    expect([(await attempt()).status, (await attempt()).status]).toEqual([200, 429]);
    expect((await gate.send('GET', '/open')).status).toBe(200);
    gate.clock.turn(30_000);
    expect([(await attempt()).status, (await attempt()).status]).toEqual([200, 429]);
  });

  test('are told in headers, and refilled by time', async () => {
    const gate = openGate({ policies: { default: limits(60), auth: null } });
    const first = await gate.send('GET', '/open');
    expect(first.headers.get('ratelimit-policy')).toBe('"default";q=60;w=60');
    expect(first.headers.get('ratelimit')).toBe('"default";r=59;t=1');
    for (let round = 0; round < 59; round++) await gate.send('GET', '/open');
    const refused = await gate.send('GET', '/open');
    expect([refused.status, refused.headers.get('retry-after'), refused.headers.get('ratelimit')]).toEqual([
      429,
      '1',
      '"default";r=0;t=60',
    ]);
    gate.clock.turn(1000);
    expect((await gate.send('GET', '/open')).status).toBe(200);
  });

  test('are the same for a whole IPv6 network', async () => {
    const gate = openGate({ policies: { default: limits(1), auth: null } });
    expect((await gate.send('GET', '/open', { headers: { 'x-test-address': '2001:db8::1' } })).status).toBe(200);
    expect((await gate.send('GET', '/open', { headers: { 'x-test-address': '2001:db8::2' } })).status).toBe(429);
    expect((await gate.send('GET', '/open', { headers: { 'x-test-address': '2001:db8:0:1::1' } })).status).toBe(200);
  });

  test('off means off, without headers', async () => {
    const answer = await openGate().send('GET', '/open');
    expect([answer.headers.get('ratelimit'), answer.headers.get('ratelimit-policy')]).toEqual([null, null]);
  });
});

describe('bodies', () => {
  test.each<[string, { headers?: Record<string, string>; body?: string }, number, string]>([
    ['malformed JSON', { headers: JSON_TYPE, body: '{' }, 400, 'request/malformed-json'],
    ['a wrong field', { headers: JSON_TYPE, body: '{"text":5}' }, 422, 'request/invalid'],
    ['no body', {}, 422, 'request/invalid'],
    ['an empty body', { headers: JSON_TYPE, body: '' }, 400, 'request/malformed-json'],
    [
      'another type',
      { headers: { 'content-type': 'text/plain' }, body: '{"text":""}' },
      415,
      'request/unsupported-media-type',
    ],
    [
      'a form',
      { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'text=a' },
      415,
      'request/unsupported-media-type',
    ],
    [
      'a type that only starts like JSON',
      { headers: { 'content-type': 'application/json-seq' }, body: '{}' },
      415,
      'request/unsupported-media-type',
    ],
    ['too many bytes', { headers: JSON_TYPE, body: `{"text":"${'x'.repeat(1000)}"}` }, 413, 'request/too-large'],
    [
      'a length that is a lie upwards',
      { headers: { ...JSON_TYPE, 'content-length': '1001' }, body: '{"text":""}' },
      413,
      'request/too-large',
    ],
    [
      'too many bytes of another type',
      { headers: { 'content-type': 'text/plain' }, body: 'x'.repeat(1001) },
      413,
      'request/too-large',
    ],
  ])('%s', async (_what, init, status, code) => {
    const gate = openGate();
    const answer = await gate.send('POST', '/json', { as: 'ann', ...init });
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(gate.seen.handled).toEqual([]);
  });

  test.each(['application/json; charset=utf-8', 'APPLICATION/JSON', ' application/json ;x=y'])(
    '%p is JSON',
    async (type) => {
      const answer = await openGate().send('POST', '/json', {
        as: 'ann',
        headers: { 'content-type': type },
        body: '{"text":"é"}',
      });
      expect([answer.status, answer.json['size']]).toEqual([200, 1]);
    },
  );

  test('exactly the limit is let in', async () => {
    const body = `{"text":"${'x'.repeat(989)}"}`;
    expect(body.length).toBe(1000);
    expect((await openGate().send('POST', '/json', { as: 'ann', headers: JSON_TYPE, body })).status).toBe(200);
  });

  test('without a declared length is read up to the limit and no further', async () => {
    const gate = openGate();
    const { body, pulled } = streamOf(1000, 500);
    const answer = await gate.send('POST', '/json', { as: 'ann', headers: JSON_TYPE, body });
    expect([answer.status, answer.code, answer.headers.get('connection')]).toEqual([413, 'request/too-large', 'close']);
    expect(pulled()).toBeLessThan(8);
  });

  test('without a declared length is fine below the limit', async () => {
    const body = new Response('{"text":"chunked"}').body as ReadableStream;
    const answer = await openGate().send('POST', '/json', { as: 'ann', headers: JSON_TYPE, body });
    expect([answer.status, answer.json['size'], answer.json['caller']]).toEqual([200, 7, 'ann']);
  });

  test('of a raw route are neither read, limited nor asked for their type', async () => {
    const gate = openGate({
      cors: createCors(['https://page.example']),
      policies: { default: limits(100), auth: limits(100) },
    });
    for (const headers of [
      JSON_TYPE,
      { 'content-type': 'text/plain' },
      { 'content-type': 'multipart/form-data; boundary=x' },
      {},
    ]) {
      const sent = await gate.send('PUT', '/raw', { as: 'ann', headers, body: '{'.repeat(5000) });
      expect([sent.status, sent.json['size']]).toEqual([200, 5000]);
    }
    const { body } = streamOf(10, 1000);
    expect((await gate.send('PUT', '/raw', { as: 'ann', body })).json['size']).toBe(10_000);
    expect(gate.seen.bodyUsed).toEqual([false, false, false, false, false]);
  });

  test('a form keeps what was sent twice apart', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await openGate().send('POST', '/form', { headers, body: 'a=1&a=2&b=3' });
    expect(answer.json['body']).toEqual({ a: ['1', '2'], b: '3' });
  });
});

describe('methods and paths', () => {
  test.each([
    ['POST', '/open', ['GET', 'HEAD', 'OPTIONS']],
    ['PUT', '/own/1', ['DELETE', 'GET', 'HEAD', 'OPTIONS']],
    ['GET', '/json', ['OPTIONS', 'POST']],
    ['HEAD', '/json', ['OPTIONS', 'POST']],
    ['PROPFIND', '/open', ['GET', 'HEAD', 'OPTIONS']],
  ])('%s %s is 405 and says what is allowed', async (method, path, allow) => {
    const answer = await openGate().send(method, path);
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')?.split(', ').sort()).toEqual(allow);
    if (method !== 'HEAD') expect(answer.code).toBe('request/method-not-allowed');
  });

  test.each(['/api/nowhere', '/api', '/nowhere', '/own', '/', '/open/x'])('%s is 404', async (path) => {
    const answer = await openGate().send('GET', path);
    expect([answer.status, answer.code]).toEqual([404, 'request/not-found']);
    expect(answer.json['instance']).toBe(path);
  });

  test('HEAD is GET without content, with its length', async () => {
    const gate = openGate();
    const [got, head] = [
      await gate.send('GET', '/own/1', { as: 'ann' }),
      await gate.send('HEAD', '/own/1', { as: 'ann' }),
    ];
    expect([head.status, head.text]).toEqual([200, '']);
    expect(head.headers.get('content-length')).toBe(String(got.text.length));
    expect(head.headers.get('content-type')).toBe(got.headers.get('content-type'));
    expect((await gate.send('HEAD', '/own/1')).status).toBe(401);
    expect((await gate.send('HEAD', '/nowhere')).status).toBe(404);
  });

  test('OPTIONS needs no sign-in and runs no handler', async () => {
    const gate = openGate({ cors: createCors(['https://page.example']) });
    for (const as of [undefined, 'forged', 'ann']) {
      const answer = await gate.send('OPTIONS', '/admin', as ? { as } : {});
      expect([answer.status, answer.headers.get('allow')]).toEqual([204, 'POST, OPTIONS']);
      expect(answer.headers.get('access-control-allow-methods')).toBeNull();
    }
    const preflight = await gate.send('OPTIONS', '/json', {
      headers: {
        origin: 'https://page.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('https://page.example');
    expect(preflight.headers.get('access-control-allow-methods')).toContain('POST');
    expect(preflight.headers.get('access-control-allow-headers')).toBe('authorization,content-type');
    expect(gate.seen.handled).toEqual([]);
  });

  test('a preflight of a foreign origin gets no permission', async () => {
    const gate = openGate({ cors: createCors(['https://page.example']) });
    const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
    expect((await gate.send('OPTIONS', '/json', { headers })).headers.get('access-control-allow-origin')).toBeNull();
  });

  test('paths of nobody go to the fallbacks in order, never those below /api/', async () => {
    const asked: string[] = [];
    const fallback = (name: string, answers: boolean): Fallback => ({
      route: name,
      handle: () => {
        asked.push(name);
        return answers ? new Response(name) : null;
      },
      has: (path) => path === '/file',
    });
    const gate = openGate({ fallbacks: [fallback('first', false), fallback('second', true), fallback('third', true)] });
    expect((await gate.send('GET', '/file')).text).toBe('second');
    expect(asked).toEqual(['first', 'second']);
    expect(gate.seen.answers.at(-1)?.context.route).toBe('second');
    expect((await gate.send('GET', '/api/file')).status).toBe(404);
    expect(asked).toHaveLength(2);
    const deaf = openGate({ fallbacks: [{ ...fallback('none', false) }] });
    const refused = await deaf.send('POST', '/file');
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS']);
    expect((await deaf.send('POST', '/other')).status).toBe(404);
  });

  describe('a fallback that speaks for another program', () => {
    const foreign = (headers: Record<string, string> = {}): Fallback => ({
      route: 'elsewhere',
      isForeign: true,
      claims: (path) => path.startsWith('/site/') || path === '/json',
      handle: ({ method, url }) => (url.includes('/site/') ? new Response(method, { headers }) : null),
    });

    test('keeps its own policies, with our request id', async () => {
      const { headers } = await openGate({ fallbacks: [foreign()] }).send('GET', '/site/page');
      for (const name of ['content-security-policy', 'x-frame-options', 'cache-control', 'x-content-type-options']) {
        expect(headers.get(name)).toBeNull();
      }
      expect(headers.get('x-request-id')).toMatch(/^[\w-]+$/);
    });

    test('answers OPTIONS itself, and only on its own paths', async () => {
      const gate = openGate({ fallbacks: [foreign()] });
      expect((await gate.send('OPTIONS', '/site/page')).text).toBe('OPTIONS');
      expect((await gate.send('OPTIONS', '/json')).headers.get('allow')).toBe('POST, OPTIONS');
      expect((await gate.send('OPTIONS', '/other')).status).toBe(204);
    });

    test('keeps its CORS headers and its HSTS; where it has none, ours are set', async () => {
      const origin = { origin: 'https://page.example', 'x-test-secure': '1' };
      const cors = createCors(['https://page.example']);
      const own = { 'access-control-allow-origin': '*', 'strict-transport-security': 'max-age=1' };
      const spoken = openGate({ fallbacks: [foreign(own)], cors, isProduction: true });
      const { headers } = await spoken.send('GET', '/site/page', { headers: origin });
      expect([headers.get('access-control-allow-origin'), headers.get('strict-transport-security')]).toEqual([
        '*',
        'max-age=1',
      ]);
      const silent = openGate({ fallbacks: [foreign()], cors, isProduction: true });
      const answer = await silent.send('GET', '/site/page', { headers: origin });
      expect(answer.headers.get('access-control-allow-origin')).toBe('https://page.example');
      expect(answer.headers.get('strict-transport-security')).toStartWith('max-age=31536000');
    });
  });
});

describe('every answer', () => {
  const paths = ['/open', '/own/1', '/nowhere', '/bug', '/nothing-thrown', '/json'];
  test.each(paths)('of %s carries id and security headers', async (path) => {
    const { headers } = await openGate().send('GET', path);
    expect(headers.get('x-request-id')).toMatch(/^[\w-]+$/);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cache-control')).toBe('no-store');
    for (const name of [
      'strict-transport-security',
      'x-powered-by',
      'server',
      'access-control-allow-origin',
      'set-cookie',
    ]) {
      expect(headers.get(name), name).toBeNull();
    }
  });

  test('HSTS is sent in production over TLS and nowhere else', async () => {
    const hsts = async (isProduction: boolean, headers: Record<string, string>) =>
      (await openGate({ isProduction }).send('GET', '/open', { headers })).headers.get('strict-transport-security');
    expect(await hsts(true, { 'x-test-secure': '1' })).toContain('max-age=31536000');
    expect(await hsts(true, {})).toBeNull();
    expect(await hsts(false, { 'x-test-secure': '1' })).toBeNull();
  });

  test.each(['abc', 'A-1_b.c:d/e+f=', 'x'.repeat(128)])('keeps a sane request id: %p', async (id) => {
    expect(
      (await openGate().send('GET', '/open', { headers: { 'x-request-id': id } })).headers.get('x-request-id'),
    ).toBe(id);
  });

  test.each(['', 'x'.repeat(129), 'a b', 'a"b', '<script>', 'a,b', 'ä', '{"a":1}', '%0d%0a'])(
    'replaces another one: %p',
    async (id) => {
      const answer = await openGate().send('GET', '/nowhere', { headers: { 'x-request-id': id } });
      expect(answer.headers.get('x-request-id')).toMatch(/^[\w-]{10,}$/);
      expect(answer.headers.get('x-request-id')).not.toBe(id);
      expect(answer.json['requestId']).toBe(answer.headers.get('x-request-id'));
    },
  );

  test('has an id of its own', async () => {
    const gate = openGate();
    const ids = new Set<string | null>();
    for (let round = 0; round < 100; round++) ids.add((await gate.send('GET', '/open')).headers.get('x-request-id'));
    expect(ids.size).toBe(100);
  });

  test('is told once, with route, status and caller', async () => {
    const gate = openGate();
    await gate.send('GET', '/own/7', { as: 'ann' });
    await gate.send('GET', '/own/7');
    await gate.send('GET', '/nowhere');
    const told = gate.seen.answers.map(({ context, status }) => [context.route, status, context.caller?.id ?? null]);
    expect(told).toEqual([
      ['/own/:id', 200, 'ann'],
      ['/own/:id', 401, null],
      ['none', 404, null],
    ]);
  });

  test('while draining closes the connection', async () => {
    expect((await openGate({ isDraining: () => true }).send('GET', '/open')).headers.get('connection')).toBe('close');
    expect((await openGate().send('GET', '/open')).headers.get('connection')).toBeNull();
  });
});

describe('an answer with ready headers', () => {
  const everything: Partial<GateOptions> = {
    policies: { default: limits(60), auth: null },
    cors: createCors(['https://a.example']),
    isProduction: true,
    isDraining: () => true,
  };
  const cases: [string, Partial<GateOptions>, Record<string, string>][] = [
    ['in development, with no limit', {}, {}],
    ['with a limit', { policies: { default: limits(60), auth: null } }, {}],
    ['with everything on', everything, { 'x-test-secure': '1', origin: 'https://a.example' }],
  ];
  test.each(cases)('has the headers of any other: %s', async (_name, options, headers) => {
    const asked = { headers: { ...headers, 'x-request-id': 'one' } };
    for (const method of ['GET', 'HEAD']) {
      const sent = async (path: string) => {
        const answer = await openGate(options).send(method, path, asked);
        // The names of the routes are the contents.
        return { ...Object.fromEntries(answer.headers), 'content-length': null };
      };
      expect(await sent('/ready'), method).toEqual(await sent('/open'));
    }
  });

  test('shares them with no other answer', async () => {
    const gate = openGate({ policies: { default: limits(60), auth: limits(5) } });
    const [first, second] = [
      await gate.send('GET', '/ready', { headers: { 'x-request-id': 'one' } }),
      await gate.send('GET', '/ready'),
    ];
    expect([first.headers.get('x-request-id'), first.headers.get('ratelimit')]).toEqual(['one', '"default";r=59;t=1']);
    expect(second.headers.get('x-request-id')).not.toBe('one');
    expect(second.headers.get('ratelimit')).toBe('"default";r=58;t=2');
    expect(second.json).toEqual({ name: 'ready' });
  });
});

describe('bugs', () => {
  test.each(['/bug', '/nothing-thrown'])('%s is an opaque 500 and reported', async (path) => {
    const gate = openGate();
    const answer = await gate.send('GET', path);
    expect([answer.status, answer.code]).toEqual([500, 'server/internal']);
    expect(answer.text).not.toContain('secret of the house');
    expect(gate.seen.unexpected).toHaveLength(1);
  });

  test('in finding out who asks are an opaque 500 as well', async () => {
    for (const identify of [
      () => {
        throw new Error('secret of the house');
      },
      async () => {
        throw new Error('secret of the house');
      },
      () => Promise.reject(null),
    ]) {
      const gate = openGate({ identify });
      const answer = await gate.send('GET', '/open');
      expect([answer.status, answer.code]).toEqual([500, 'server/internal']);
      expect(answer.text).not.toContain('secret of the house');
      expect(gate.seen.unexpected).toHaveLength(1);
      expect(gate.seen.handled).toEqual([]);
    }
  });
});
