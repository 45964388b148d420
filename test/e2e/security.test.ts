import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { type Call, createClient, PASSWORD, register, type Tokens } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { logLines, writtenLog } from '../support/log-lines.ts';
import { sendRaw, statusOf } from '../support/raw.ts';
import { startServer, type TestServer } from '../support/server.ts';

setDefaultTimeout(30_000);

let server: TestServer;
let call: Call;
let ada: Tokens;

beforeAll(async () => {
  server = await startServer();
  call = createClient(server.url);
  ada = await register(call, 'ada@example.org');
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** The link that a start without an admin prints. */
async function setUpLink({ output }: TestServer): Promise<URL> {
  const find = () => /Create one at (\S+)\n/.exec(output())?.[1];
  await eventually(() => find() !== undefined);
  return new URL(find() ?? '');
}
const setUpToken = async (from: TestServer) => (await setUpLink(from)).hash.replace('#token=', '');

describe('the set-up link', () => {
  test('GHSA-3529-5m8x-rpv3: is made from the settings and told to the operator alone', async () => {
    const link = await setUpLink(server);
    expect(link.origin).toBe(server.url);
    const token = link.hash.replace('#token=', '');
    expect(token).toMatch(/^[\w-]{43}$/);
    const headers = {
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example',
      'x-forwarded-proto': 'https',
      'x-original-host': 'evil.example',
    };
    for (const path of [
      '/',
      '/setup',
      '/health/ready',
      '/swagger',
      '/swagger/json',
      '/problems',
      '/api/auth/me',
      '/nowhere',
      '/docs',
    ]) {
      const answer = await call('GET', path, { headers });
      expect(answer.text.includes(token), path).toBe(false);
      expect(answer.text.includes('evil.example'), path).toBe(false);
      expect(answer.headers.get('location') ?? '', path).not.toContain('evil.example');
    }
    expect(logLines(await writtenLog(server), 'info').some((line) => JSON.stringify(line).includes(token))).toBe(false);
  });

  test('works once; the second use is 403, and so it is after a restart', async () => {
    await using fresh = await startServer();
    const there = createClient(fresh.url);
    const token = await setUpToken(fresh);
    const use = (client: Call, email: string) =>
      client('POST', '/api/auth/setup', { json: { token, email, password: PASSWORD } });
    const first = await use(there, 'root@example.org');
    expect([first.status, (first.json['user'] as { role: string }).role]).toEqual([201, 'admin']);
    expect((await use(there, 'eve@example.org')).json['code']).toBe('auth/setup-closed');
    await using again = await fresh.restart();
    expect(again.output()).not.toContain('There is no admin yet');
    expect((await use(createClient(again.url), 'eve@example.org')).status).toBe(403);
  });

  test('is another one at every start, and the old one is worthless', async () => {
    await using first = await startServer();
    const old = await setUpToken(first);
    await using second = await first.restart();
    const current = await setUpToken(second);
    expect(current).not.toBe(old);
    const json = { token: old, email: 'eve@example.org', password: PASSWORD };
    expect((await createClient(second.url)('POST', '/api/auth/setup', { json })).status).toBe(403);
  });
});

describe('nothing of the inside comes out', () => {
  const LEAKS =
    /at .*\.(ts|js|mjs):\d+|node_modules|SQLITE|sqlite|drizzle|Elysia|TypeBox|typebox|Bun v|\/src\/|\bstack\b|"found"|"expected"|"summary"/;
  const requests: [string, string, Parameters<Call>[2]][] = [
    ['POST', '/api/auth/login', { body: '{', headers: { 'content-type': 'application/json' } }],
    ['POST', '/api/auth/login', { json: { email: 5, password: 'hunter2hunter2' } }],
    ['POST', '/api/auth/login', { json: { email: "' OR 1=1 --", password: 'hunter2hunter2' } }],
    ['POST', '/api/auth/register', { json: { email: 'x', password: 'hunter2hunter2' } }],
    ['POST', '/api/auth/register', { body: 'a'.repeat(100), headers: { 'content-type': 'text/plain' } }],
    ['POST', '/api/auth/token', { form: 'grant_type=password&username=%00&password=%ff' }],
    ['POST', '/api/auth/refresh', { json: { refresh_token: '\u0000' } }],
    ['POST', '/api/auth/setup', { json: { token: 'x', email: 'a@example.org', password: 'hunter2hunter2' } }],
    ['GET', '/api/users?limit=hunter2', {}],
    ['GET', '/api/users/%', {}],
    ['GET', '/api/users/%E0%A4%A', {}],
    ['GET', '/api/files?cursor=hunter2', {}],
    ['GET', '/api/files/%00', {}],
    ['GET', '/api/files/x/content', {}],
    ['PATCH', '/api/files/x', { json: { name: 'a\u0000b' } }],
    ['PUT', '/api/files/by-name/%', { body: 'x' }],
    ['POST', '/api/files', { body: 'x', headers: { 'content-type': 'multipart/form-data' } }],
    ['DELETE', '/api/auth/login', {}],
    ['GET', '/api/nowhere', {}],
    ['GET', '/%', {}],
  ];
  test.each(requests)('%s %s', async (method, path, options) => {
    for (const token of [undefined, ada.access_token]) {
      const answer = await call(method, path, { ...options, ...(token === undefined ? {} : { token }) });
      expect(answer.status).toBeWithin(400, 500);
      expect(answer.text).not.toMatch(LEAKS);
      expect(answer.text).not.toContain('hunter2');
      if (path !== '/api/auth/token' && method !== 'HEAD') {
        expect(answer.headers.get('content-type')).toBe('application/problem+json');
        expect(answer.json).toMatchObject({
          status: answer.status,
          code: expect.stringMatching(/^[a-z]+\/[a-z-]+$/),
          instance: path.split('?')[0],
        });
      }
    }
  });

  test('every problem that was met has a page', async () => {
    const { type } = (await call('GET', '/api/auth/me')).json as { type: string };
    const page = await call('GET', type);
    expect(page.status).toBe(200);
  });
});

describe('GHSA-6hh7-46r2-vf29: names that every object has are names of nothing', () => {
  test.each([
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    '__proto__%2Fx',
    '..%2f',
    '%2e%2e%2f',
  ])('%s', async (name) => {
    for (const path of [
      `/api/users/${name}`,
      `/api/files/${name}`,
      `/api/files/${name}/content`,
      `/problems/${name}`,
      `/problems/${name}/internal`,
      `/problems/server/${name}`,
      `/swagger/${name}`,
      `/_bunkhouse/${name}`,
      `/${name}/x`,
    ]) {
      const answer = await sendRaw(
        server.url,
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ada.access_token}\r\nConnection: close\r\n\r\n`,
      );
      expect([400, 403, 404, 422], path).toContain(statusOf(answer));
    }
  });

  test.each(['__proto__', 'constructor', 'toString'])('%s in queries and headers', async (name) => {
    const answer = await call('GET', `/api/files?${name}=x&limit=1`, {
      token: ada.access_token,
      headers: { [name]: 'x' },
    });
    expect([200, 422]).toContain(answer.status);
  });
});

describe('CVE-2026-30837: long values are answered soon', () => {
  test.each<[string, Parameters<Call>]>([
    [
      'an e-mail address',
      ['POST', '/api/auth/register', { json: { email: `${'a@'.repeat(25_000)}`, password: PASSWORD } }],
    ],
    [
      'an e-mail address of dots',
      ['POST', '/api/auth/register', { json: { email: `a@${'.'.repeat(50_000)}`, password: PASSWORD } }],
    ],
    [
      'an e-mail address of blanks',
      ['POST', '/api/auth/register', { json: { email: `${' '.repeat(50_000)}x`, password: PASSWORD } }],
    ],
    ['a password', ['POST', '/api/auth/login', { json: { email: 'a@example.org', password: 'a'.repeat(50_000) } }]],
    [
      'a name',
      [
        'POST',
        '/api/auth/register',
        { json: { email: 'a@example.org', password: PASSWORD, name: 'n'.repeat(50_000) } },
      ],
    ],
    ['a refresh token', ['POST', '/api/auth/refresh', { json: { refresh_token: 'a'.repeat(50_000) } }]],
    ['a form value', ['POST', '/api/auth/token', { form: { grant_type: 'x'.repeat(50_000) } }]],
    [
      'a form of ten thousand parameters',
      ['POST', '/api/auth/token', { form: Array.from({ length: 10_000 }, (_, i) => `a${i}=1`).join('&') }],
    ],
    [
      'deep JSON',
      ['POST', '/api/auth/login', { body: '['.repeat(100_000), headers: { 'content-type': 'application/json' } }],
    ],
    [
      'nested JSON',
      [
        'POST',
        '/api/auth/login',
        { body: `{"email":${'['.repeat(500)}${']'.repeat(500)}}`, headers: { 'content-type': 'application/json' } },
      ],
    ],
    [
      'JSON of many keys',
      ['POST', '/api/auth/login', { json: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, i])) }],
    ],
    ['a bearer token', ['GET', '/api/auth/me', { token: 'a'.repeat(8000) }]],
    ['a bearer token of dots', ['GET', '/api/auth/me', { token: '.'.repeat(8000) }]],
    ['blanks before a token', ['GET', '/api/auth/me', { headers: { authorization: `Bearer ${' '.repeat(8000)}x y` } }]],
    ['a cookie', ['GET', '/api/auth/me', { headers: { cookie: `__Host-bunkhouse=${'a'.repeat(8000)}` } }]],
    ['many cookies', ['GET', '/api/auth/me', { headers: { cookie: 'a=b; '.repeat(1600) } }]],
    ['a path', ['GET', `/api/users/${'a'.repeat(8000)}`, {}]],
    ['a path of slashes', ['GET', '/'.repeat(8000), {}]],
    ['a cursor', ['GET', `/api/files?cursor=${'a'.repeat(8000)}`, { token: 'x' }]],
    [
      'addresses that were forwarded',
      ['GET', '/api/auth/me', { headers: { 'x-forwarded-for': '1.1.1.1,'.repeat(1000) } }],
    ],
  ])('%s', async (_what, [method, path, options]) => {
    const startedAt = performance.now();
    const answer = await call(method, path, options);
    expect(answer.status).toBeLessThan(500);
    expect(answer.text.length).toBeLessThan(20_000);
    expect(performance.now() - startedAt).toBeLessThan(3000);
  });
});

describe('what belongs to others', () => {
  test('looks as if it were not there', async () => {
    const eve = await register(call, 'eve@example.org');
    const put = await call('PUT', '/api/files/by-name/secret.txt', { token: ada.access_token, body: 'of ada' });
    const id = String(put.json['id']);
    for (const [method, path, options] of [
      ['GET', `/api/files/${id}`, {}],
      ['GET', `/api/files/${id}/content`, {}],
      ['PATCH', `/api/files/${id}`, { json: { name: 'mine' } }],
      ['DELETE', `/api/files/${id}`, {}],
    ] as const) {
      const foreign = await call(method, path, { token: eve.access_token, ...options });
      const missing = await call(method, path.replace(id, '0198c0de-0000-7000-8000-000000000000'), {
        token: eve.access_token,
        ...options,
      });
      const strip = ({ status, json: { requestId: _id, instance: _at, ...rest } }: typeof foreign) => ({
        status,
        ...rest,
      });
      expect(foreign.status, `${method} ${path}`).toBe(404);
      expect(strip(foreign)).toEqual(strip(missing));
    }
    expect((await call('GET', `/api/files/${id}/content`, { token: ada.access_token })).text).toBe('of ada');
    expect((await call('GET', '/api/files', { token: eve.access_token })).json['items']).toEqual([]);
  });
});

test('nothing went wrong unexpectedly, and no secret is in the log', async () => {
  const output = await writtenLog(server);
  expect(logLines(output, 'error')).toEqual([]);
  for (const secret of [PASSWORD, 'hunter2', ada.access_token, ada.refresh_token, 'OR 1=1']) {
    expect(output.includes(secret), 'a secret is in the log').toBe(false);
  }
});
