import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Call, createClient, register } from '../support/client.ts';
import { createScriptFolder, PHP_FPM, type ScriptFolder } from '../support/php-fpm.ts';
import { startServer, type TestServer } from '../support/server.ts';

/** Each answer is another one, so that one from the store shows. */
const SCRIPTS = {
  'accel.php':
    '<?php header("X-Accel-Expires: 60"); header("Surrogate-Key: news front"); header("Cache-Tag: a"); echo uniqid("", true);',
  'shared.php': '<?php header("Cache-Control: public, max-age=60"); echo uniqid("", true);',
  'warm.php':
    '<?php header("Cache-Control: public, max-age=60"); echo $_SERVER["HTTP_HOST"], " ", $_SERVER["REMOTE_ADDR"], uniqid(" ", true);',
  'plain.php': '<?php echo uniqid("", true);',
  'mark.php': '<?php header("Surrogate-Key: news"); setcookie("a", "b"); setcookie("c", "d"); echo uniqid("", true);',
  'cookie.php': '<?php header("Cache-Control: public, max-age=60"); setcookie("a", uniqid()); echo uniqid("", true);',
  'session.php':
    '<?php session_start(); header("Cache-Control: public, max-age=60"); header_remove("Pragma"); header_remove("Expires"); echo uniqid("", true);',
  'purge.php':
    '<?php $c = stream_context_create(["http" => ["method" => "PURGE", "ignore_errors" => true,' +
    '"header" => isset($_GET["key"]) ? "Surrogate-Key: " . $_GET["key"] : ""]]); echo file_get_contents("http://" . $_SERVER["HTTP_HOST"] . $_GET["path"], false, $c);',
};

const SERVER_KEY = 'a-server-key-for-the-tests-0123456789';

let site: ScriptFolder;
let server: TestServer;
let call: Call;
beforeAll(async () => {
  site = await createScriptFolder(SCRIPTS);
  server = await startServer({
    env: { PHP_ROOT: site.path, CACHE_RULES: '/php/plain.php=force(60)', SERVER_KEY },
  });
  call = createClient(server.url);
});
afterAll(async () => {
  await server?.stop();
  await server?.[Symbol.asyncDispose]();
  await site?.[Symbol.asyncDispose]();
});

const twice = async (path: string, options: Parameters<Call>[2] = {}) => {
  const first = await call('GET', path, options);
  const second = await call('GET', path, options);
  return { first, second, isStored: first.text === second.text };
};

describe.if(PHP_FPM !== null)('answers of PHP in the HTTP cache', () => {
  test('are stored when the script says so, in either way', async () => {
    for (const path of ['/php/accel.php', '/php/shared.php']) {
      const { isStored, second } = await twice(path);
      expect(isStored).toBe(true);
      expect(second.headers.get('cache-status')).toContain('hit');
      expect(second.headers.has('age')).toBe(true);
    }
  });

  test('say nothing of what was meant for the cache', async () => {
    const { first, second } = await twice('/php/accel.php?words');
    for (const { headers } of [first, second]) {
      const words = ['x-accel-expires', 'surrogate-key', 'cache-tag'];
      expect(words.filter((name) => headers.has(name))).toEqual([]);
    }
  });

  test('are stored when a rule of the settings says so', async () => {
    expect((await twice('/php/plain.php')).isStored).toBe(true);
  });

  test('are not stored with a cookie, nor given to somebody with a session', async () => {
    expect((await twice('/php/cookie.php')).isStored).toBe(false);
    expect((await twice('/php/session.php')).isStored).toBe(false);
    const stored = (await twice('/php/shared.php?session')).first.text;
    const own = await call('GET', '/php/shared.php?session', { headers: { cookie: 'PHPSESSID=abc' } });
    expect(own.text).not.toBe(stored);
    expect((await call('GET', '/php/shared.php?session')).text).toBe(stored);
  });

  test('that no cache may keep are each the own of who asked, however often they have the same head', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => call('GET', '/php/mark.php')));
    for (const later of [await call('GET', '/php/mark.php'), await call('GET', '/php/mark.php')]) answers.push(later);
    const own = (name: string) => new Set(answers.map(({ headers }) => headers.get(name))).size;
    expect([own('x-request-id'), own('ratelimit-policy')]).toEqual([answers.length, 1]);
    for (const { headers, status } of answers) {
      expect([status, headers.getSetCookie(), headers.has('surrogate-key')]).toEqual([200, ['a=b', 'c=d'], false]);
    }
    expect(answers.at(-1)?.headers.get('cache-status')).toBe('bunkhouse; fwd=bypass; fwd-status=200');
    const head = await call('HEAD', '/php/mark.php');
    expect([head.text, head.headers.get('x-request-id') === answers.at(-1)?.headers.get('x-request-id')]).toEqual([
      '',
      false,
    ]);
  });

  test('are made anew for everybody who is signed in', async () => {
    const stored = (await twice('/php/shared.php?caller')).first.text;
    const { access_token: token } = await register(call, 'cache@example.org');
    const { isStored, first } = await twice('/php/shared.php?caller', { token });
    expect([isStored, first.text === stored]).toEqual([false, false]);
    expect((await call('GET', '/php/shared.php?caller')).text).toBe(stored);
  });

  test('are dropped when a script purges their address', async () => {
    const stored = (await twice('/php/shared.php?purge')).first.text;
    const purged = await call('GET', `/php/purge.php?path=${encodeURIComponent('/php/shared.php?purge')}`);
    expect(purged.json).toEqual({ purged: 1 });
    expect((await call('GET', '/php/shared.php?purge')).text).not.toBe(stored);
  });

  test('are dropped when a script purges their tag', async () => {
    const stored = (await twice('/php/accel.php?tag')).first.text;
    await call('GET', '/php/purge.php?path=/php/&key=news');
    expect((await call('GET', '/php/accel.php?tag')).text).not.toBe(stored);
  });

  test('are dropped when something is posted to their address', async () => {
    const stored = (await twice('/php/shared.php?post')).first.text;
    await call('POST', '/php/shared.php?post');
    expect((await call('GET', '/php/shared.php?post')).text).not.toBe(stored);
  });

  test('become storable as soon as the script says so', async () => {
    const file = join(site.path, 'later.php');
    await writeFile(
      file,
      '<?php if (isset($_SERVER["HTTP_X_FRESH"])) header("Cache-Control: max-age=60"); echo uniqid("", true);',
    );
    expect((await twice('/php/later.php')).isStored).toBe(false);
    const headers = { 'x-fresh': '1' };
    await call('GET', '/php/later.php', { headers });
    expect((await twice('/php/later.php', { headers })).isStored).toBe(true);
  });
});

describe.if(PHP_FPM !== null)('whoever runs it', () => {
  const post = async (path: string, json: object) => (await call('POST', path, { token: SERVER_KEY, json })).json;
  const explain = (url: string) => post('/api/cache/explain', { url });

  test('hears of a script why its answer is stored, before anybody has asked for it', async () => {
    expect(await explain('/php/warm.php?x')).toMatchObject({
      rule: 'php',
      mode: 'respect',
      outcome: 'miss',
      isStorable: true,
      freshness: { lifetimeSeconds: 60, source: 'max-age' },
    });
    expect(await explain('/php/cookie.php?x')).toMatchObject({ rule: 'php', isStorable: false, freshness: null });
    expect(await explain('/php/plain.php/x')).toMatchObject({ mode: 'force', isStorable: true });
    expect(await explain('/php/warm.php?x')).toMatchObject({ outcome: 'miss' });
  });

  test('warms a script up for visitors', async () => {
    const urls = ['/php/warm.php?w', '/php/cookie.php?w', '/php/nothing.php', '/php/', '/api/auth/me', '/elsewhere'];
    const { warmed, missed } = await post('/api/cache/warm', { urls });
    expect([warmed, (missed as string[]).toSorted()]).toEqual([1, urls.slice(1).toSorted()]);
    expect(await explain('/php/warm.php?w')).toMatchObject({ outcome: 'hit' });
    const { headers, text } = await call('GET', '/php/warm.php?w');
    expect(headers.get('cache-status')).toContain('hit');
    // Not ours: applications show more to the machine that they run on.
    expect(text).toStartWith(`${new URL(server.url).host} 192.0.2.1 `);
  });

  test('hears nothing of PHP about files and other parts of the site, where PHP answers all of it', async () => {
    const pages = await createScriptFolder({ 'page.html': 'a page' });
    const whole = await startServer({
      env: { PHP_ROOT: site.path, PHP_MOUNT: '/', PUBLIC_DIR: pages.path, PHP_SCRIPT: 'shared.php', SERVER_KEY },
    });
    try {
      const ask = createClient(whole.url);
      const ruleOf = async (url: string) =>
        (await ask('POST', '/api/cache/explain', { token: SERVER_KEY, json: { url } })).json['rule'];
      const rules = await Promise.all(['/page.html', '/api/files', '/a/pretty/link', '/shared.php'].map(ruleOf));
      expect(rules).toEqual([null, null, 'php', 'php']);
    } finally {
      await whole.stop();
      await whole[Symbol.asyncDispose]();
      await pages[Symbol.asyncDispose]();
    }
  });
});
