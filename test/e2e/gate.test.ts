import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Call, createClient, PASSWORD, register, type Tokens } from '../support/client.ts';
import { logLines, writtenLog } from '../support/log-lines.ts';
import { connectRaw, sendRaw, statusOf } from '../support/raw.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let call: Call;
let ada: Tokens;

beforeAll(async () => {
  server = await startServer({
    env: {
      ADMIN_EMAIL: 'root@example.org',
      ADMIN_PASSWORD: PASSWORD,
      METRICS_TOKEN: 'metrics-token-0123456789',
      CORS_ORIGINS: 'https://page.example',
      BODY_MAX_SIZE: '64KiB',
    },
  });
  call = createClient(server.url);
  ada = await register(call, 'ada@example.org');
});

afterAll(() => server?.[Symbol.asyncDispose]());

const host = () => new URL(server.url).host;
const raw = (head: string, body = '') => sendRaw(server.url, `${head}\r\nConnection: close\r\n\r\n${body}`);

describe('the order on a real socket', () => {
  const multipart = { 'content-type': 'multipart/form-data; boundary=x' };
  test.each<[string, string, Record<string, string>, string, number]>([
    ['PATCH', '/api/auth/me', { 'content-type': 'application/json' }, '{', 401],
    ['PATCH', '/api/auth/me', { 'content-type': 'application/json' }, '{"name":5}', 401],
    ['PATCH', '/api/auth/me', multipart, 'nonsense', 401],
    ['POST', '/api/files', multipart, 'nonsense', 401],
    ['POST', '/api/files', { 'content-type': 'multipart/form-data' }, 'nonsense', 401],
    ['POST', '/api/files', { 'content-type': 'text/plain' }, 'nonsense', 401],
    ['PUT', '/api/files/by-name/x', {}, 'bytes', 401],
    ['PATCH', '/api/users/x', { 'content-type': 'application/json' }, '{', 401],
  ])('without a token %s %s is 401 whatever the body', async (method, path, headers, body, status) => {
    expect((await call(method, path, { headers, body })).status).toBe(status);
  });

  test('a missing right is 403 before the body is looked at', async () => {
    for (const body of ['{', '{"role":5}', 'x'.repeat(100_000)]) {
      const headers = { 'content-type': 'application/json' };
      const answer = await call('PATCH', `/api/users/${ada.user.id}`, { token: ada.access_token, headers, body });
      expect([answer.status, answer.json['code']]).toEqual([403, 'auth/forbidden']);
    }
  });

  test('a body that is declared too large is refused before it is sent', async () => {
    const connection = await connectRaw(server.url);
    connection.write(
      `PATCH /api/auth/me HTTP/1.1\r\nHost: ${host()}\r\nAuthorization: Bearer ${ada.access_token}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 2147483648\r\n\r\n{',
    );
    const answer = await connection.until(/"request\/too-large"/);
    expect(statusOf(answer)).toBe(413);
    connection.close();
  });

  test('a body of undeclared length is refused once it is too large', async () => {
    const connection = await connectRaw(server.url);
    connection.write(
      `PATCH /api/auth/me HTTP/1.1\r\nHost: ${host()}\r\nAuthorization: Bearer ${ada.access_token}\r\n` +
        'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    const chunk = `8000\r\n${'x'.repeat(0x8000)}\r\n`;
    for (let sent = 0; sent < 4; sent++) connection.write(chunk);
    expect(statusOf(await connection.until(/"request\/too-large"/))).toBe(413);
    connection.close();
  });

  test('a body of undeclared length is read when it is small enough', async () => {
    const answer = await raw(
      `PATCH /api/auth/me HTTP/1.1\r\nHost: ${host()}\r\nAuthorization: Bearer ${ada.access_token}\r\n` +
        'Content-Type: application/json\r\nTransfer-Encoding: chunked',
      'e\r\n{"name":"Ada"}\r\n0\r\n\r\n',
    );
    expect(statusOf(answer)).toBe(200);
    expect(answer).toContain('"name":"Ada"');
  });
});

describe('requests that are not proper HTTP', () => {
  const head = () => `POST /api/auth/login HTTP/1.1\r\nHost: ${host()}\r\nContent-Type: application/json\r\n`;
  test.each<[string, () => string]>([
    ['two lengths', () => `${head()}Content-Length: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{}`],
    [
      'length and chunks',
      () => `${head()}Content-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n`,
    ],
    ['a length that is no number', () => `${head()}Content-Length: abc\r\nConnection: close\r\n\r\n{}`],
    ['a negative length', () => `${head()}Content-Length: -1\r\nConnection: close\r\n\r\n{}`],
    [
      'a chunk of no size',
      () => `${head()}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
    ],
    ['no Host', () => 'GET /api/auth/me HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['a header without a colon', () => `GET / HTTP/1.1\r\nHost: ${host()}\r\nnonsense\r\nConnection: close\r\n\r\n`],
    ['a header name with a blank', () => `GET / HTTP/1.1\r\nHost: ${host()}\r\nX : y\r\nConnection: close\r\n\r\n`],
    ['NUL in the path', () => `GET /\u0000 HTTP/1.1\r\nHost: ${host()}\r\nConnection: close\r\n\r\n`],
    [
      'a head of 100 KB',
      () => `GET / HTTP/1.1\r\nHost: ${host()}\r\nX: ${'x'.repeat(100_000)}\r\nConnection: close\r\n\r\n`,
    ],
    ['nothing like HTTP', () => '\u0016\u0003\u0001\r\n\r\n'],
  ])('%s: refused, and the server lives', async (_what, request) => {
    const status = statusOf(await sendRaw(server.url, request()));
    // 0: the connection was closed without an answer, which is an answer too.
    expect([0, 400, 404, 413, 421, 422, 431, 505]).toContain(status);
    expect((await call('GET', '/health/live')).status).toBe(200);
  });

  test('a client that stops halfway leaves nothing that waits', async () => {
    const connection = await connectRaw(server.url);
    connection.write(`${head()}Content-Length: 100\r\n\r\n{"email":`);
    connection.close();
    expect((await call('GET', '/api/auth/me', { token: ada.access_token })).status).toBe(200);
  });
});

describe('Host', () => {
  test.each(['evil.example', 'a', 'abc', '192.168.0.1', 'localhost.evil.example', ''])(
    '%p is misdirected',
    async (name) => {
      const answer = await raw(`GET /api/auth/me HTTP/1.1\r\nHost: ${name}`);
      expect(statusOf(answer)).toBe(421);
      expect(answer).toContain('"request/misdirected"');
      expect(answer.toLowerCase()).toContain('x-request-id: ');
    },
  );

  test.each([
    '/api/auth/me#x',
    '/#',
    '/health/ready?x=1#y',
    'http://localhost/api/auth/me#x',
    '/connection/websocket#x',
  ])('%p has what no request target may (RFC 9112 §3.2)', async (target) => {
    const answer = await raw(`GET ${target} HTTP/1.1\r\nHost: ${host()}`);
    expect(statusOf(answer)).toBe(400);
    expect(answer).toContain('"request/malformed"');
  });

  test('elysia#748: no Host and no path shifts a request past its guard', async () => {
    // The router cuts the path at a fixed place: each of these once led, or might lead, to the list of users.
    const paths = [
      '/aaaaaaa/problems/api/users',
      '/problems/api/users',
      '/x/api/users',
      '/xx/api/users',
      '/xxx/api/users',
      '/aaaaaaaa/api/users',
      '/aaaaaaaaa/problems/api/users',
      '/aaaaaaaaaa/api/users',
      '/swagger/api/users',
      '/health/x/api/users',
      'http://a/x/api/users',
      'http://a/problems/api/users',
      '//api/users',
      '/./api/users',
      '/%2e/api/users',
      '/api/./users',
      '/api/auth/../users',
      '/API/users',
      '/api/users?',
      '/api/users/',
      '/api/users#x',
    ];
    const names = [
      'localhost',
      'a/x.localhost',
      'a b.localhost',
      'a@b.localhost',
      'a"b.localhost',
      'a\\b.localhost',
      'a?.localhost',
      'a',
      'abc',
      host(),
    ];
    for (const name of names) {
      for (const path of paths) {
        const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: ${name}`);
        expect([0, 400, 401, 404, 421], `${name} ${path}`).toContain(statusOf(answer));
        expect(answer, `${name} ${path}`).not.toContain('root@example.org');
      }
    }
  });

  test('health is answered for any Host, and nothing else below it', async () => {
    for (const name of ['evil.example', 'a', '10.0.0.1:3000']) {
      for (const path of ['/health/live', '/health/ready']) {
        expect(statusOf(await raw(`GET ${path} HTTP/1.1\r\nHost: ${name}`)), `${name} ${path}`).toBe(200);
      }
      for (const path of ['/health/../api/users', '/healthy', '/health/', '/health/x/../../api/users']) {
        expect([400, 404, 421], `${name} ${path}`).toContain(
          statusOf(await raw(`GET ${path} HTTP/1.1\r\nHost: ${name}`)),
        );
      }
    }
    // What a load balancer of the old kind sends.
    expect(statusOf(await sendRaw(server.url, 'GET /health/ready HTTP/1.0\r\n\r\n'))).toBe(200);
  });
});

describe('who is asking from where', () => {
  test('forwarding headers are inert without TRUST_PROXY', async () => {
    const headers = {
      'x-request-id': 'forwarded-1',
      'x-forwarded-for': '203.0.113.77',
      'fly-client-ip': '203.0.113.78',
      forwarded: 'for=203.0.113.79',
    };
    await call('GET', '/api/auth/me', { headers });
    const line = logLines(await writtenLog(server), 'info').find(({ requestId }) => requestId === 'forwarded-1');
    expect(line?.['address']).toBe('127.0.0.1');
  });

  test('a page of an allowed origin may read answers, problems included, and others not', async () => {
    const read = async (path: string, origin: string) => (await call('GET', path, { headers: { origin } })).headers;
    for (const path of ['/api/auth/me', '/nowhere', '/health/ready', '/']) {
      expect((await read(path, 'https://page.example')).get('access-control-allow-origin'), path).toBe(
        'https://page.example',
      );
      const foreign = await read(path, 'https://evil.example');
      expect(foreign.get('access-control-allow-origin'), path).toBeNull();
      expect(foreign.get('vary'), path).toContain('Origin');
    }
  });
});

describe('health', () => {
  test('live answers GET and HEAD with no more than that', async () => {
    const answer = await call('GET', '/health/live');
    expect([answer.status, answer.json]).toEqual([200, { status: 'ok' }]);
    expect((await call('HEAD', '/health/live')).status).toBe(200);
    expect((await call('POST', '/health/live')).status).toBe(405);
  });

  test('ready lists every part, without addresses or paths', async () => {
    const answer = await call('GET', '/health/ready');
    expect(answer.status).toBe(200);
    expect(answer.json['status']).toBe('ok');
    const checks = answer.json['checks'] as { name: string; status: string; latencyMs: number }[];
    expect(checks.map(({ name, status }) => `${name} ${status}`)).toEqual(
      expect.arrayContaining(['database:main ok', 'storage ok']),
    );
    expect(checks.every(({ latencyMs }) => latencyMs >= 0)).toBe(true);
    expect(answer.text).not.toContain(server.dataDir);
  });

  test('metrics are for admins and who has the token', async () => {
    const metrics = (token?: string) => call('GET', '/metrics', token === undefined ? {} : { token });
    expect((await metrics()).status).toBe(401);
    expect((await metrics('nonsense')).status).toBe(401);
    expect((await metrics('metrics-token-012345678')).status).toBe(401);
    expect((await metrics(ada.access_token)).status).toBe(403);
    const root = await call('POST', '/api/auth/login', { json: { email: 'root@example.org', password: PASSWORD } });
    expect((await metrics(String(root.json['access_token']))).status).toBe(200);
    const answer = await metrics('metrics-token-0123456789');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toStartWith('text/plain; version=0.0.4');
    expect(answer.text).toMatch(
      /^bunkhouse_http_request_duration_seconds_count\{method="POST",route="\/api\/auth\/login",status="200"\} \d+$/m,
    );
    expect(answer.text).toMatch(/^bunkhouse_event_loop_lag_seconds \d/m);
    expect(answer.text).not.toContain('example.org');
    expect((await call('GET', '/api/users', { token: 'metrics-token-0123456789' })).status).toBe(401);
  });

  test('paths that clients invent make no series', async () => {
    for (let index = 0; index < 20; index++) await call('GET', `/invented-${index}`);
    const { text } = await call('GET', '/metrics', { token: 'metrics-token-0123456789' });
    expect(text).not.toContain('invented');
    expect(text).toContain('route="none",status="404"');
  });
});

describe('limits of their own', () => {
  test('RATE_LIMIT_AUTH and RATE_LIMIT hold, by address and by caller', async () => {
    await using strict = await startServer({
      env: {
        RATE_LIMIT_AUTH: '3/60',
        RATE_LIMIT: '8/60',
        TRUST_PROXY: '127.0.0.0/8',
        ADMIN_EMAIL: 'root@example.org',
        ADMIN_PASSWORD: PASSWORD,
      },
    });
    const there = createClient(strict.url);
    const from = (address: string) => ({ 'x-forwarded-for': address });
    const login = (address: string, email: string) =>
      there('POST', '/api/auth/login', { json: { email, password: PASSWORD }, headers: from(address) });

    const signedIn = await login('203.0.113.1', 'root@example.org');
    expect(signedIn.status).toBe(200);
    // Another account each time: what stops them is the address.
    const statuses = [];
    for (const name of 'abcd') statuses.push((await login('203.0.113.1', `${name}@example.org`)).status);
    expect(statuses).toEqual([401, 401, 429, 429]);
    const refused = await login('203.0.113.1', 'e@example.org');
    expect(refused.json['code']).toBe('request/rate-limited');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    // A spoofed head of the list is no other address; a real other one is.
    expect((await login('198.51.100.1, 203.0.113.1', 'e@example.org')).status).toBe(429);
    expect((await login('203.0.113.2', 'e@example.org')).status).toBe(401);
    // One account from many addresses.
    for (const host of [10, 11, 12]) await login(`203.0.113.${host}`, 'victim@example.org');
    expect((await login('203.0.113.13', 'victim@example.org')).status).toBe(429);

    const token = String(signedIn.json['access_token']);
    const own = [];
    for (let index = 0; index < 10; index++) {
      own.push((await there('GET', '/api/auth/me', { token, headers: from(`203.0.113.${100 + index}`) })).status);
    }
    expect(own).toEqual([200, 200, 200, 200, 200, 200, 200, 200, 429, 429]);
    expect((await there('GET', '/health/live')).status).toBe(200);
  });
});

test('nothing went wrong unexpectedly', async () => {
  expect(logLines(await writtenLog(server), 'error')).toEqual([]);
});
