import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { type Call, createClient, register } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';

setDefaultTimeout(60_000);

const METRICS_TOKEN = 'a-token-for-metrics-of-this-test-only';
let server: TestServer;
let call: Call;
let token: string;
let other: string;

beforeAll(async () => {
  server = await startServer({ env: { PARSE_MAX_SIZE: '1MiB', METRICS_TOKEN } });
  call = createClient(server.url);
  token = (await register(call, 'reader@example.org')).access_token;
  other = (await register(call, 'other@example.org')).access_token;
});
afterAll(() => server[Symbol.asyncDispose]());

const parse = (language: string, json: unknown, as = token) =>
  call('POST', `/api/parse/${language}`, { token: as, json });

describe('the parse server', () => {
  test('is for those who are signed in', async () => {
    const { status, json } = await call('POST', '/api/parse/html', { body: '{' });
    expect([status, json['code']]).toEqual([401, 'auth/required']);
  });

  test('answers with the view, the result, warnings and the time it took', async () => {
    const answer = await parse('html', { source: '<title>A &amp; B</title>' });
    expect(answer.json).toMatchObject({
      view: 'meta',
      result: { title: 'A & B' },
      warnings: [],
      timing: { ms: expect.any(Number) },
    });
    expect((await parse('css', { source: 'a { color: #ff0000 }' })).json).toMatchObject({
      view: 'minify',
      result: { code: 'a{color:red}' },
    });
    expect((await parse('js', { source: 'import "x"' })).json).toMatchObject({
      view: 'imports',
      result: [{ path: 'x' }],
    });
  });

  test('answers the same question about the same source from the cache', async () => {
    const question = { source: '<h1>cached</h1>', view: 'select', selector: 'h1' };
    const first = await parse('html', question);
    expect(first.headers.get('cache-status')).toBe('bunkhouse; fwd=uri-miss; stored');
    const second = await parse('html', question, other);
    expect(second.headers.get('cache-status')).toBe('bunkhouse; hit');
    expect(second.json['result']).toEqual(first.json['result'] as object);
    const another = await parse('html', { ...question, selector: 'h2' });
    expect(another.headers.get('cache-status')).toContain('miss');
    expect(another.json['result']).toEqual([]);
  });

  test('takes the source as the body, as a form, or from a file that the caller may read', async () => {
    const raw = await call('POST', '/api/parse/css?view=format', {
      token,
      body: 'a{b:c}',
      headers: { 'content-type': 'text/css' },
    });
    expect(raw.json).toMatchObject({ view: 'format', result: { code: 'a {\n  b: c;\n}\n' } });
    const form = new FormData();
    form.set('file', new Blob(['<p>from a form'], { type: 'text/html' }), 'page.html');
    form.set('view', 'text');
    expect((await call('POST', '/api/parse/html', { token, body: form })).json).toMatchObject({
      result: { text: 'from a form' },
    });

    const kept = await call('PUT', '/api/files/by-name/page.html', { token, body: '<p>from a file' });
    const fileId = kept.json['id'];
    expect((await parse('html', { fileId, view: 'text' })).json).toMatchObject({ result: { text: 'from a file' } });
    const hidden = { status: 404, json: { code: 'parse/source-not-found' } };
    expect(await parse('html', { fileId, view: 'text' }, other)).toMatchObject(hidden);
    expect(await parse('html', { fileId: 'nonsense' })).toMatchObject(hidden);
  });

  test('names what is wrong', async () => {
    const cases: readonly (readonly [body: unknown, status: number, code: string])[] = [
      [{}, 422, 'request/invalid'],
      [{ source: '', view: 'nope' }, 422, 'request/invalid'],
      [{ source: 'x', view: 'select', selector: '[' }, 422, 'parse/selector'],
      [{ source: '<div>'.repeat(5000), view: 'text' }, 422, 'parse/too-deep'],
      [{ source: 'x'.repeat(1_100_000) }, 413, 'parse/too-large'],
      [{ url: 'http://example.org/' }, 422, 'parse/fetch-off'],
    ];
    for (const [body, status, code] of cases) {
      const answer = await parse('html', body);
      expect([answer.status, answer.json['code']]).toEqual([status, code]);
    }
    const huge = await call('POST', '/api/parse/html', {
      token,
      body: 'x'.repeat(1_100_000),
      headers: { 'content-type': 'text/html' },
    });
    expect(huge.status).toBe(413);
    const malformed = await call('POST', '/api/parse/html', {
      token,
      body: '{',
      headers: { 'content-type': 'application/json' },
    });
    expect([malformed.status, malformed.json['code']]).toEqual([400, 'request/malformed-json']);
    const empty = await call('POST', '/api/parse/html', { token, body: '' });
    expect(empty.json['code']).toBe('parse/no-source');
  });

  test('holds no more bodies than it has room for', async () => {
    const { hostname, port } = new URL(server.url);
    const open = () =>
      new Promise<{ end(): void; readonly said: Promise<string> }>((opened) => {
        const said = Promise.withResolvers<string>();
        Bun.connect({
          hostname,
          port: Number(port),
          socket: {
            open(socket) {
              // A body that is announced, and comes slowly.
              socket.write(
                `POST /api/parse/html HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n{`,
              );
              opened({ end: () => socket.end(), said: said.promise });
            },
            data: (_, data) => said.resolve(data.toString()),
            close: () => said.resolve(''),
          },
        });
      });
    const slow = await Promise.all(Array.from({ length: 6 }, open));
    expect(await Promise.race(slow.map(({ said }) => said))).toStartWith('HTTP/1.1 503');
    for (const { end } of slow) end();
    let answer = await call('POST', '/api/parse/html', { token, json: { source: 'again' }, may5xx: true });
    while (answer.status === 503)
      answer = await call('POST', '/api/parse/html', { token, json: { source: 'again' }, may5xx: true });
    expect(answer.status).toBe(200);
  });

  test('lives on when a source kills a parser, remembers it, and stops those who kill one after the other', async () => {
    // Brackets that no scan counts: a chain of arrows makes the parser call itself for each.
    const killer = (name: string) => ({ source: `${name}=${'()=>'.repeat(100_000)}1`, view: 'ast', syntax: 'js' });
    const first = await parse('js', killer('a'), other);
    expect([first.status, first.json['code']]).toEqual([422, 'parse/crashed']);
    expect((await parse('js', killer('a'), other)).json['code']).toBe('parse/crashed');
    expect((await parse('js', { source: 'let fine = 1', view: 'ast' })).status).toBe(200);
    const fates: unknown[] = [];
    for (let index = 0; index < 12; index++) fates.push((await parse('js', killer(`b${index}`), other)).json['code']);
    expect(fates.at(-1)).toBe('request/rate-limited');
    expect((await parse('js', { source: 'let still = 1', view: 'ast' })).status).toBe(200);
    expect((await call('GET', '/health/live')).status).toBe(200);
  });

  test('counts what it does', async () => {
    const { text } = await call('GET', '/metrics', { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
    expect(text).toContain('bunkhouse_parse_duration_seconds_count{language="js",outcome="crashed"}');
    expect(text).toContain('bunkhouse_parse_jobs{state="running"} 0');
  });

  test('does not let a source of one freeze the others', async () => {
    const page = `<body>${'<p>some <b>words</b> to read</p>'.repeat(3_000)}`;
    const parses = Array.from({ length: 6 }, (_, index) =>
      parse('html', { source: `${page}${index}`, view: 'article' }),
    );
    let isDone = false;
    const ended = Promise.all(parses).then(() => {
      isDone = true;
    });
    // Were they on the event loop, nothing else would be answered before the last of them.
    let answered = 0;
    while (!isDone) {
      await call('GET', '/health/live');
      answered++;
    }
    await ended;
    expect(answered).toBeGreaterThan(4);
    for (const answer of await Promise.all(parses)) expect(answer.status).toBe(200);
  });
});

describe('the command line', () => {
  test('reads files and says what is wrong', async () => {
    const run = (args: string[], stdin: string) => {
      const child = Bun.spawnSync([process.execPath, `${import.meta.dir}/../../src/cli/index.ts`, 'parse', ...args], {
        stdin: new TextEncoder().encode(stdin),
        env: { PATH: process.env['PATH'] ?? '', DATA_DIR: server.dataDir },
      });
      return [child.exitCode, child.stdout.toString(), child.stderr.toString()];
    };
    expect(run(['css', '-'], 'a { color: #ff0000 }')).toEqual([0, 'a{color:red}\n', '']);
    expect(run(['html', '-', '--view', 'select', '--option', 'selector=p'], '<p>x')[1]).toContain('"text": "x"');
    expect(run(['html', '-', '--view', 'text', '--json'], '<p>x')[1]).toContain('"result"');
    expect(run(['html'], '')).toEqual([1, '', 'bunkhouse: say "parse html|css|js FILE|URL"\n']);
    expect(run(['html', '/no/such/file'], '')).toEqual([1, '', 'bunkhouse: the file cannot be read\n']);
    expect(run(['css', '-'], 'a{'.repeat(100))[2]).toContain('nest deeper');
    expect(run(['css', '-', '--view', 'none'], 'a{}')[2]).toContain('bunkhouse: view: Expected one of minify, format');
    expect(run(['html', '-', '--view', 'select', '--option', 'limit=x'], 'a')[2]).toContain('limit: Expected integer');
    expect(run(['html', 'http://127.0.0.1/'], '')[2]).toContain('public internet');
  });
});
