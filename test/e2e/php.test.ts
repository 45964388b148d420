import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Call, createClient, register } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { logLines, writtenLog } from '../support/log-lines.ts';
import { createScriptFolder, PHP_FPM, type ScriptFolder } from '../support/php-fpm.ts';
import { connectRaw, sendRaw, statusOf } from '../support/raw.ts';
import { startServer, type TestServer } from '../support/server.ts';

const SCRIPTS: Readonly<Record<string, string>> = {
  'env.php':
    '<?php header("Content-Type: application/json"); echo json_encode($_SERVER, JSON_INVALID_UTF8_SUBSTITUTE);',
  'body.php': '<?php $b = file_get_contents("php://input"); echo strlen($b), " ", md5($b);',
  'late-body.php':
    '<?php while (ob_get_level()) ob_end_flush(); echo "early "; flush(); usleep(300000); $b = file_get_contents("php://input"); echo strlen($b), " ", md5($b);',
  'upload.php': '<?php $f = $_FILES["file"]; echo $f["error"], " ", $f["name"], " ", md5_file($f["tmp_name"]);',
  'answer.php': '<?php http_response_code((int) $_GET["status"]); header("X-From: php"); echo "body";',
  'cookies.php': '<?php setcookie("a", "1"); setcookie("b", "2"); header("X-Name: " . "k\u{f6}rper"); echo "x";',
  'session.php': '<?php session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; echo $_SESSION["n"];',
  'redirect.php': '<?php header("Location: /elsewhere");',
  'liar.php': '<?php header("Content-Length: " . $_GET["length"]); echo str_repeat("x", 1321);',
  'hop.php':
    '<?php header("Connection: X-Secret"); header("Transfer-Encoding: chunked"); header("X-Powered-By: me"); echo "x";',
  'early.php':
    '<?php header("HTTP/1.1 103 Early Hints"); header("Link: </a.css>; rel=preload"); echo "Status: 200\r\nContent-Type: text/plain\r\n\r\nlate";',
  'output.php':
    '<?php ini_set("output_buffering", 0); while (ob_get_level()) ob_end_flush(); echo "early"; flush(); header("X-Late: 1"); http_response_code(404);',
  'fatal.php': '<?php ini_set("display_errors", 0); secret_function();',
  'huge-header.php': '<?php for ($i = 0; $i < 40; $i++) header("X-$i: " . str_repeat("h", 2000)); echo "x";',
  'kill.php': '<?php posix_kill(getmypid(), 9);',
  'log.php': '<?php error_log("line for " . $_SERVER["BUNKHOUSE_REQUEST_ID"]); echo "x";',
  'accel.php':
    '<?php header("X-Accel-Redirect: " . $_GET["path"]); header("Content-Disposition: attachment"); setcookie("a", "1"); setcookie("b", "2"); echo "not this";',
  'sendfile.php': '<?php header("X-Sendfile: " . $_GET["path"]); header("Content-Type: image/x-own"); echo "not this";',
  'events.php':
    '<?php header("Content-Type: text/event-stream"); header("X-Accel-Buffering: no"); echo "data: one\n\n"; while (ob_get_level()) ob_end_flush(); flush(); while (!file_exists($_GET["file"])) { clearstatcache(); usleep(5000); } echo "data: two\n\n";',
  'publish.php':
    '<?php $c = stream_context_create(["http" => ["method" => "POST", "ignore_errors" => true, "content" => json_encode(["topic" => "public.news", "data" => 1]),' +
    '"header" => "Content-Type: application/json\\r\\nAuthorization: Bearer " . $_SERVER["BUNKHOUSE_PUBLISH_KEY"]]]); echo file_get_contents($_SERVER["BUNKHOUSE_PUBLISH_URL"], false, $c);',
  'index.php': '<?php echo "index ", $_SERVER["REQUEST_METHOD"];',
  'folder/index.php': '<?php echo "folder";',
  'uploads/evil.php': '<?php echo "EXECUTED";',
  'uploads/evil.jpg': '<?php echo "EXECUTED";',
  'data/private.txt': 'SECRET',
  '.env': 'SECRET',
  'settings.inc': '<?php $password = "SECRET";',
  'style.css': 'body { color: red }',
};

let site: ScriptFolder;
let server: TestServer;
let call: Call;

beforeAll(async () => {
  site = await createScriptFolder({});
  for (const [name, content] of Object.entries(SCRIPTS)) {
    await mkdir(dirname(join(site.path, name)), { recursive: true });
    await writeFile(join(site.path, name), content);
  }
  await mkdir(join(site.path, 'vault/sub'), { recursive: true });
  await mkdir(join(site.path, 'shared'));
  await chmod(join(site.path, 'shared'), 0o777);
  await writeFile(join(site.path, 'vault/sub/a file.txt'), 'the vault');
  await writeFile(join(site.path, 'vault/code.php'), '<?php SECRET');
  server = await startServer({
    env: {
      PHP_ROOT: site.path,
      PHP_SENDFILE_ROOT: join(site.path, 'vault'),
      UPLOAD_MAX_SIZE: '8MiB',
      LOG_LEVEL: 'debug',
    },
  });
  call = createClient(server.url);
});
afterAll(async () => {
  await server?.stop();
  await server?.[Symbol.asyncDispose]();
  await site?.[Symbol.asyncDispose]();
});

const environment = async (path = '/php/env.php', options: Parameters<Call>[2] = {}) =>
  (await call('GET', path, options)).json as Record<string, string | undefined>;
const host = () => new URL(server.url).host;

describe.if(PHP_FPM !== null)('PHP', () => {
  describe('environment', () => {
    test('is that of RFC 3875 as nginx sends it', async () => {
      const env = await environment('/php/env.php/a%20b/c?q=%C3%A9&x', { headers: { 'x-own': 'y', accept: 'a/b' } });
      expect(env).toMatchObject({
        GATEWAY_INTERFACE: 'CGI/1.1',
        SERVER_PROTOCOL: 'HTTP/1.1',
        REQUEST_METHOD: 'GET',
        REQUEST_SCHEME: 'http',
        REQUEST_URI: '/php/env.php/a%20b/c?q=%C3%A9&x',
        DOCUMENT_URI: '/php/env.php/a b/c',
        QUERY_STRING: 'q=%C3%A9&x',
        DOCUMENT_ROOT: site.path,
        SCRIPT_NAME: '/php/env.php',
        SCRIPT_FILENAME: join(site.path, 'env.php'),
        PATH_INFO: '/a b/c',
        SERVER_NAME: '127.0.0.1',
        SERVER_PORT: new URL(server.url).port,
        SERVER_ADDR: '127.0.0.1',
        REMOTE_ADDR: '127.0.0.1',
        REDIRECT_STATUS: '200',
        HTTP_X_OWN: 'y',
        HTTP_ACCEPT: 'a/b',
        HTTP_HOST: host(),
      });
      expect(env['SERVER_SOFTWARE']).toMatch(/^bunkhouse\//);
      expect(env['REMOTE_PORT']).toMatch(/^\d+$/);
      for (const name of ['HTTPS', 'REMOTE_USER', 'CONTENT_LENGTH', 'HTTP_CONTENT_LENGTH', 'PATH_TRANSLATED']) {
        expect(env[name]).toBeUndefined();
      }
    });

    test('names the script itself where there is no PATH_INFO', async () => {
      const env = await environment();
      expect([env['PHP_SELF'], env['PATH_INFO']]).toEqual(['/php/env.php', undefined]);
    });

    test('keeps what would become HTTP_PROXY from scripts (httpoxy, CVE-2016-5385)', async () => {
      expect(await environment('/php/env.php', { headers: { Proxy: 'http://evil.example' } })).not.toHaveProperty(
        'HTTP_PROXY',
      );
    });

    test('has no header under the name of another one (CVE-2026-52845, GHSA-49wc-4hcv-v58q)', async () => {
      const answer = await sendRaw(
        server.url,
        `GET /php/env.php HTTP/1.1\r\nHost: ${host()}\r\nX_Shop_User: evil\r\nX.Shop.User: evil\r\nX-Shop-User: good\r\nRemote_User: evil\r\nConnection: close\r\n\r\n`,
      );
      expect(answer).toContain('"HTTP_X_SHOP_USER":"good"');
      expect(answer).not.toContain('evil');
    });

    test('shows a script neither our cookie nor the words of its own answers', async () => {
      const env = await environment('/php/env.php', {
        headers: { cookie: 'a=1; __Host-bunkhouse=secret; b=2', 'x-accel-redirect': '/x', 'x-sendfile': '/x' },
      });
      expect(env['HTTP_COOKIE']).toBe('a=1; b=2');
      expect(env).not.toHaveProperty('HTTP_X_ACCEL_REDIRECT');
      expect(env).not.toHaveProperty('HTTP_X_SENDFILE');
    });

    test('has no variable of ours in it', async () => {
      const secret = Object.entries(await environment()).filter(([name]) =>
        /SECRET|DATABASE|DATA_DIR|^PATH$/.test(name),
      );
      expect(secret).toEqual([]);
    });

    test('says who is signed in, by our login and by nothing else', async () => {
      const { access_token: token, user } = await register(call, 'ada@example.org');
      const env = await environment('/php/env.php', { token });
      expect(env).toMatchObject({
        REMOTE_USER: user.id,
        BUNKHOUSE_USER_ID: user.id,
        BUNKHOUSE_USER_EMAIL: 'ada@example.org',
        BUNKHOUSE_USER_ROLE: 'user',
        BUNKHOUSE_USER_EMAIL_VERIFIED: '0',
      });
      expect(env).not.toHaveProperty('HTTP_AUTHORIZATION');
      const forged = await environment('/php/env.php', {
        headers: { 'remote-user': 'x', 'bunkhouse-user-id': 'x', authorization: 'Basic YTpi' },
      });
      expect(forged).not.toHaveProperty('REMOTE_USER');
      expect(forged).not.toHaveProperty('BUNKHOUSE_USER_ID');
      expect(forged).toMatchObject({ PHP_AUTH_USER: 'a', PHP_AUTH_PW: 'b' });
      expect(await environment('/php/env.php', { token: `${token}x` })).not.toHaveProperty('REMOTE_USER');
    });

    test('speaks for a cookie on our own pages, and for nobody when a foreign page sends it to change something', async () => {
      const login = await call('POST', '/api/auth/login', {
        json: { email: 'ada@example.org', password: 'correct horse battery', cookie: true },
        headers: { origin: server.url },
      });
      const cookie = (login.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
      expect(await environment('/php/env.php', { headers: { cookie } })).toHaveProperty('REMOTE_USER');
      const own = await call('POST', '/php/env.php', { headers: { cookie, origin: server.url } });
      expect(own.json).toHaveProperty('REMOTE_USER');
      const foreign = await call('POST', '/php/env.php', { headers: { cookie, origin: 'https://evil.example' } });
      expect(foreign.status).toBe(200);
      expect(foreign.json).not.toHaveProperty('REMOTE_USER');
    });

    test('lets a script publish to topics, and do nothing else', async () => {
      expect((await call('GET', '/php/publish.php')).json).toMatchObject({ offset: expect.any(Number) });
      const { BUNKHOUSE_PUBLISH_KEY: token = '' } = await environment();
      expect((await call('GET', '/api/users', { token })).status).toBe(403);
      expect((await call('GET', '/api/files', { token })).status).toBe(403);
      expect((await call('GET', '/metrics', { token })).status).toBe(403);
    });

    test('believes a proxy that is trusted about https and the address, and nobody else', async () => {
      const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.9' };
      const untrusted = await environment('/php/env.php', { headers });
      expect(untrusted).toMatchObject({ REQUEST_SCHEME: 'http', REMOTE_ADDR: '127.0.0.1' });
      for (const name of ['HTTPS', 'HTTP_X_FORWARDED_PROTO', 'HTTP_X_FORWARDED_FOR']) {
        expect(untrusted).not.toHaveProperty(name);
      }
      await using trusting = await startServer({ env: { PHP_ROOT: site.path, TRUST_PROXY: '127.0.0.1/32' } });
      const env = (await createClient(trusting.url)('GET', '/php/env.php', { headers })).json;
      expect(env).toMatchObject({ HTTPS: 'on', REQUEST_SCHEME: 'https', REMOTE_ADDR: '203.0.113.9' });
      expect(env).not.toHaveProperty('REMOTE_PORT');
      await trusting.stop();
    });
  });

  describe('paths that attack', () => {
    const attacks: [string, string][] = [
      ['an upload with a script behind it (cgi.fix_pathinfo)', '/php/uploads/evil.jpg/x.php'],
      ['an upload that is a script', '/php/uploads/evil.php'],
      ['a script in a folder for uploads with PATH_INFO', '/php/uploads/evil.php/x'],
      ['a newline in PATH_INFO (CVE-2019-11043)', '/php/env.php/%0a/x'],
      ['NUL behind an image', '/php/uploads/evil.jpg%00.php'],
      ['NUL before the extension', '/php/env%00.php'],
      ['letters that fold (CVE-2026-27590)', '/php/uploads/evil.jpg/%C4%B0.php'],
      ['letters of full width', '/php/env.%EF%BD%90%EF%BD%88%EF%BD%90'],
      ['capital letters', '/php/ENV.PHP'],
      ['a way out of the root', '/php/%2e%2e/%2e%2e/etc/passwd'],
      ['a slash that is encoded', '/php/..%2f..%2fetc/passwd'],
      ['a backslash', '/php/..%5c..%5cetc%5cpasswd'],
      ['a hidden file', '/php/.env'],
      ['a folder that applications hide', '/php/data/private.txt'],
      ['what scripts include', '/php/settings.inc'],
      ['source by another name', '/php/env.php~'],
    ];
    test.each(attacks)('%s: nothing runs and nothing leaks', async (_, path) => {
      const answer = await sendRaw(server.url, `GET ${path} HTTP/1.1\r\nHost: ${host()}\r\nConnection: close\r\n\r\n`);
      expect([400, 404]).toContain(statusOf(answer));
      for (const leak of ['EXECUTED', 'SECRET', 'root:', 'REQUEST_METHOD', '<?php']) expect(answer).not.toContain(leak);
    });

    test('what PATH_INFO names never runs in the place of the script', async () => {
      const answer = await call('GET', '/php/env.php/uploads/evil.php');
      expect(answer.json['SCRIPT_NAME']).toBe('/php/env.php');
    });

    test('a length that is too large, or that comes twice, makes no second request', async () => {
      const smuggled = 'GET /php/cookies.php HTTP/1.1\r\nHost: x\r\n\r\n';
      for (const lengths of [
        'Content-Length: 4\r\nContent-Length: 5',
        'Content-Length: 4\r\nTransfer-Encoding: chunked',
      ]) {
        const answer = await sendRaw(
          server.url,
          `POST /php/body.php HTTP/1.1\r\nHost: ${host()}\r\n${lengths}\r\nConnection: close\r\n\r\n${smuggled}`,
        );
        expect(statusOf(answer)).toBe(400);
      }
    });
  });

  describe('bodies', () => {
    const md5 = (bytes: Uint8Array) => new Bun.CryptoHasher('md5').update(bytes).digest('hex');

    test.each([0, 1, 65_536, 1_048_576, 1_048_577, 5_000_000])('of %d bytes arrive whole', async (size) => {
      const bytes = Buffer.alloc(size, 'körper');
      expect((await call('POST', '/php/body.php', { body: bytes })).text).toBe(`${size} ${md5(bytes)}`);
    });

    test.each([10, 3_000_000])('without a length arrive whole (%d bytes in chunks)', async (size) => {
      const bytes = Buffer.alloc(size, 'stück');
      const body = new ReadableStream({
        start(controller) {
          for (let at = 0; at < size; at += 100_000) controller.enqueue(bytes.subarray(at, at + 100_000));
          controller.close();
        },
      });
      expect((await call('PUT', '/php/body.php', { body })).text).toBe(`${size} ${md5(bytes)}`);
    });

    test('may be files, larger than PHP takes by itself', async () => {
      const form = new FormData();
      const bytes = Buffer.alloc(4_000_000, 'photo');
      form.set('file', new File([bytes], 'photo.jpg'));
      expect((await call('POST', '/php/upload.php', { body: form })).text).toBe(`0 photo.jpg ${md5(bytes)}`);
    });

    test('that are too large are refused, with and without a length', async () => {
      const declared = await sendRaw(
        server.url,
        `POST /php/body.php HTTP/1.1\r\nHost: ${host()}\r\nContent-Length: 9000000\r\nConnection: close\r\n\r\n`,
      );
      expect(statusOf(declared)).toBe(413);
      const body = new ReadableStream({
        pull(controller) {
          controller.enqueue(new Uint8Array(1_000_000));
        },
      });
      const outcome = await call('POST', '/php/body.php', { body }).then(
        ({ status }) => status,
        () => 'cut',
      );
      expect([413, 'cut']).toContain(outcome);
    });

    test.each([300_000, 3_000_000])('of %d bytes may be read after the answer has begun', async (size) => {
      const body = Buffer.alloc(size, 'abc');
      const digest = new Bun.CryptoHasher('md5').update(body).digest('hex');
      const headers = { 'content-type': 'application/octet-stream' };
      const { status, text } = await call('PUT', '/php/late-body.php', { body, headers });
      expect([status, text]).toEqual([200, `early ${size} ${digest}`]);
    });

    test('that break off run nothing, and hold no child', async () => {
      for (let count = 0; count < 6; count++) {
        const raw = await connectRaw(server.url);
        raw.write(`POST /php/body.php HTTP/1.1\r\nHost: ${host()}\r\nContent-Length: 2000000\r\n\r\nhalf`);
        raw.close();
      }
      expect((await call('POST', '/php/body.php', { body: 'x' })).text).toStartWith('1 ');
    });
  });

  describe('answers', () => {
    test.each([200, 201, 204, 304, 404, 418, 500, 503])('keep their status %d', async (status) => {
      const answer = await call('GET', `/php/answer.php?status=${status}`, { may5xx: true });
      expect([answer.status, answer.headers.get('x-from')]).toEqual([status, 'php']);
      expect(answer.text).toBe([204, 304].includes(status) ? '' : 'body');
    });

    test('keep their own policy: nothing is forced on a page of PHP', async () => {
      const { headers } = await call('GET', '/php/answer.php?status=200');
      for (const name of ['content-security-policy', 'x-frame-options', 'cache-control'])
        expect(headers.has(name)).toBe(false);
      expect(headers.get('x-request-id')).toBeString();
      expect(headers.get('ratelimit')).toBeString();
    });

    test('keep every cookie, and the bytes of their headers', async () => {
      const raw = await sendRaw(
        server.url,
        `GET /php/cookies.php HTTP/1.1\r\nHost: ${host()}\r\nConnection: close\r\n\r\n`,
      );
      expect(raw.match(/set-cookie: [ab]=\d/gi)).toHaveLength(2);
      expect(raw).toContain(`x-name: ${Buffer.from('körper').toString('latin1')}`);
    });

    test('that came whole are sent whole, also to somebody with a session', async () => {
      for (const cookie of ['', 'Cookie: PHPSESSID=abc\r\n']) {
        const head = `GET /php/answer.php?status=200 HTTP/1.1\r\nHost: localhost\r\n${cookie}Connection: close\r\n\r\n`;
        expect((await sendRaw(server.url, head)).toLowerCase()).toContain('\r\ncontent-length: 4\r\n');
      }
    });

    test('to HEAD say of their length what the script says, or nothing', async () => {
      const head = async (path: string) =>
        (
          await sendRaw(server.url, `HEAD ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
        ).toLowerCase();
      expect(await head('/php/liar.php?length=3')).toContain('\r\ncontent-length: 3\r\n');
      for (const path of ['/php/answer.php?status=200', '/php/index.php']) {
        expect(await head(path)).not.toContain('content-length');
      }
      expect(await head('/php/style.css')).toContain('\r\ncontent-length: 19\r\n');
    });

    test('to HEAD have no body', async () => {
      const answer = await call('HEAD', '/php/answer.php?status=200');
      expect([answer.status, answer.text, answer.headers.get('x-from')]).toEqual([200, '', 'php']);
    });

    test('to OPTIONS are the script\u2019s', async () => {
      expect((await call('OPTIONS', '/php/')).text).toBe('index OPTIONS');
    });

    test('may redirect without a status', async () => {
      const answer = await call('GET', '/php/redirect.php');
      expect([answer.status, answer.headers.get('location')]).toEqual([302, '/elsewhere']);
    });

    test.each([3, 5_000])(
      'with a false length of %d are framed by us, so that nothing is taken for another answer',
      async (length) => {
        const answer = await call('GET', `/php/liar.php?length=${length}`);
        expect(answer.text).toHaveLength(1_321);
        expect(answer.headers.get('content-length')).toBe('1321');
      },
    );

    test('say nothing of the connection behind, nor of PHP', async () => {
      const answer = await call('GET', '/php/hop.php');
      expect(answer.text).toBe('x');
      expect(answer.headers.get('connection') ?? '').not.toContain('X-Secret');
      expect(answer.headers.has('x-powered-by')).toBe(false);
    });

    test('are the final ones: an early hint is not taken for one', async () => {
      const answer = await call('GET', '/php/early.php');
      expect([answer.status, answer.text, answer.headers.get('content-type')]).toEqual([200, 'late', 'text/plain']);
    });

    test('whose head has gone stay as they are, and the script\u2019s fault is in the log', async () => {
      const answer = await call('GET', '/php/output.php', { headers: { 'x-request-id': 'output-before' } });
      expect([answer.status, answer.text]).toEqual([200, 'early']);
      const lines = logLines(await writtenLog(server), 'warn');
      expect(lines.find(({ requestId }) => requestId === 'output-before')?.['php']).toContain('headers already sent');
    });

    test('of a fatal error are 500 without a word of it, which is in the log', async () => {
      const answer = await call('GET', '/php/fatal.php', { may5xx: true, headers: { 'x-request-id': 'fatal-one' } });
      expect(answer.status).toBe(500);
      expect(answer.text).not.toContain('secret_function');
      const line = logLines(await writtenLog(server), 'error').find(({ requestId }) => requestId === 'fatal-one');
      expect(line).toMatchObject({ status: 500, script: 'fatal.php', php: expect.stringContaining('secret_function') });
    });

    test('with a head that is too large are 502, with the reason in the log', async () => {
      const answer = await call('GET', '/php/huge-header.php', { may5xx: true, headers: { 'x-request-id': 'huge' } });
      expect([answer.status, answer.json['code']]).toEqual([502, 'php/bad-answer']);
      const line = logLines(await writtenLog(server), 'error').find(({ requestId }) => requestId === 'huge');
      expect(line?.['reason']).toContain('larger than');
    });

    test('of a child that dies are 502, and the next request is served', async () => {
      const answer = await call('GET', '/php/kill.php', { may5xx: true });
      expect([answer.status, answer.json['code']]).toEqual([502, 'php/bad-answer']);
      expect((await call('GET', '/php/')).text).toBe('index GET');
    });

    test('stream as they are flushed', async () => {
      const file = join(site.path, 'shared/go');
      const response = await fetch(`${server.url}/php/events.php?file=${file}`);
      expect(response.headers.has('x-accel-buffering')).toBe(false);
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('data: one\n\n');
      await writeFile(file, '');
      expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('data: two\n\n');
    });

    test('log what the script logs once, with the id of its request', async () => {
      await call('GET', '/php/log.php', { headers: { 'x-request-id': 'log-once' } });
      await eventually(async () => (await writtenLog(server)).includes('line for log-once'));
      expect((await writtenLog(server)).split('line for log-once')).toHaveLength(2);
    });

    test('keep PHP\u2019s sessions', async () => {
      const first = await call('GET', '/php/session.php');
      const cookie = (first.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
      expect((await call('GET', '/php/session.php', { headers: { cookie } })).text).toBe('2');
    });
  });

  describe('files', () => {
    test('that are no scripts are sent by us, with validators and ranges', async () => {
      const whole = await call('GET', '/php/style.css');
      expect([whole.status, whole.headers.get('content-type')]).toEqual([200, 'text/css; charset=utf-8']);
      const etag = whole.headers.get('etag') ?? '';
      expect((await call('GET', '/php/style.css', { headers: { 'if-none-match': etag } })).status).toBe(304);
      const part = await call('GET', '/php/style.css', { headers: { range: 'bytes=0-3' } });
      expect([part.status, part.text]).toEqual([206, 'body']);
      expect((await call('POST', '/php/style.css')).status).toBe(405);
    });

    test('that are folders get their slash, with the query', async () => {
      const answer = await call('POST', '/php/folder?a=1');
      expect([answer.status, answer.headers.get('location')]).toEqual([308, '/php/folder/?a=1']);
      expect((await call('GET', '/php/folder/')).text).toBe('folder');
      expect((await call('GET', '/php')).headers.get('location')).toBe('/php/');
    });

    test('of the vault are sent for a script, with ranges, its type and its cookies', async () => {
      const path = encodeURIComponent('/sub/a%20file.txt');
      const answer = await call('GET', `/php/accel.php?path=${path}`, { headers: { range: 'bytes=4-' } });
      expect([answer.status, answer.text]).toEqual([206, 'vault']);
      expect(answer.headers.get('content-range')).toBe('bytes 4-8/9');
      expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
      expect(answer.headers.get('content-disposition')).toBe('attachment');
      expect(answer.headers.getSetCookie()).toHaveLength(2);
      expect(answer.headers.has('x-accel-redirect')).toBe(false);
      const absolute = encodeURIComponent(join(site.path, 'vault/sub/a file.txt'));
      const own = await call('GET', `/php/sendfile.php?path=${absolute}`);
      expect([own.text, own.headers.get('content-type')]).toEqual(['the vault', 'image/x-own']);
    });

    test.each(['/../.env', '/%2e%2e/.env', '/etc/passwd', '/nothing', '/code.php', '/%00', '/%zz', '/'])(
      'outside the vault are not sent, whatever a script asks: %s',
      async (path) => {
        for (const script of ['accel', 'sendfile']) {
          const answer = await call('GET', `/php/${script}.php?path=${encodeURIComponent(path)}`);
          expect(answer.status).toBe(404);
          for (const leak of ['SECRET', 'root:', 'not this']) expect(answer.text).not.toContain(leak);
        }
      },
    );
  });

  test('is in the metrics, in the health report and in the access log', async () => {
    await call('GET', '/php/');
    const key = 'k'.repeat(32);
    await using watched = await startServer({ env: { PHP_ROOT: site.path, SERVER_KEY: key } });
    const ask = createClient(watched.url);
    expect((await ask('GET', '/php/index.php')).text).toBe('index GET');
    const metrics = (await ask('GET', '/metrics', { token: key })).text;
    expect(metrics).toContain('bunkhouse_php_children{state="size"} 4');
    expect(metrics).toContain('bunkhouse_php_queue_wait_seconds_count 1');
    expect(metrics).toContain('route="/php/*"');
    const checks = (await ask('GET', '/health/ready')).json['checks'] as { name: string; status: string }[];
    expect(checks.find(({ name }) => name === 'php')?.status).toBe('ok');
    expect(await watched.stop()).toBe(0);
  });

  test('counts against the rate limit', async () => {
    await using limited = await startServer({ env: { PHP_ROOT: site.path, RATE_LIMIT: '3/60' } });
    const ask = createClient(limited.url);
    const statuses = [];
    for (let count = 0; count < 5; count++) statuses.push((await ask('GET', '/php/index.php')).status);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    await limited.stop();
  });

  test('mounted on the whole site comes after routes and public files, and before the landing page', async () => {
    await using whole = await startServer({
      env: { PHP_ROOT: site.path, PHP_MOUNT: '/', PHP_MODE: 'front-controller', PUBLIC_DIR: join(site.path, 'vault') },
    });
    const ask = createClient(whole.url);
    expect((await ask('GET', '/')).text).toBe('index GET');
    expect((await ask('PATCH', '/any/path')).text).toBe('index PATCH');
    expect((await ask('GET', '/style.css')).text).toContain('color');
    expect((await ask('GET', '/sub/a%20file.txt')).text).toBe('the vault');
    expect((await ask('GET', '/env.php')).status).toBe(404);
    expect((await ask('GET', '/api/nothing')).status).toBe(404);
    expect((await ask('GET', '/health/live')).json).toEqual({ status: 'ok' });
    await whole.stop();
  });

  test('that was left behind by a killed server is ended by the next one', async () => {
    const first = await startServer({ env: { PHP_ROOT: site.path } });
    const ask = createClient(first.url);
    const master = async (url: TestServer) => {
      await eventually(() => url.output().includes('php-fpm runs'));
      return logLines(url.output(), 'info').find(({ msg }) => msg === 'php-fpm runs')?.['pid'] as number;
    };
    expect((await ask('GET', '/php/')).text).toBe('index GET');
    const orphan = await master(first);
    await using second = await first.restart();
    expect((await createClient(second.url)('GET', '/php/')).text).toBe('index GET');
    const state = await Bun.file(`/proc/${orphan}/stat`)
      .text()
      .catch(() => 'gone');
    // Ended, though nobody may have collected it yet.
    expect(state === 'gone' || / Z /.test(state)).toBe(true);
    expect(await second.stop()).toBe(0);
  });
});

test('PHP that cannot be reached is a 503 that says so, and everything else is served', async () => {
  await using folder = await createScriptFolder({ 'index.php': '<?php', 'a.txt': 'text' });
  await using alone = await startServer({ env: { PHP_ROOT: folder.path, PHP_FPM: 'unix:/nowhere/fpm.sock' } });
  const ask = createClient(alone.url);
  const answer = await ask('GET', '/php/', { may5xx: true });
  expect([answer.status, answer.json['code'], answer.headers.get('retry-after')]).toEqual([
    503,
    'php/unavailable',
    '1',
  ]);
  expect((await ask('GET', '/php/a.txt')).text).toBe('text');
  const ready = await ask('GET', '/health/ready');
  expect([ready.status, ready.json['status']]).toEqual([200, 'degraded']);
  await alone.stop();
});
