import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../src/kernel/errors.ts';
import type { PhpAnswer, PhpBody, PhpPool } from '../../src/ports/php-pool.ts';
import { eventually } from '../support/eventually.ts';
import { createScriptFolder, type ScriptFolder } from '../support/php-fpm.ts';

/** Two children; the deadlines are short: see {@link CONTRACT_LIMITS}. */
export interface PoolUnderTest {
  readonly pool: PhpPool;
  close(): Promise<void>;
}

/** What the subject is built with, so that nobody waits for a minute. */
export const CONTRACT_LIMITS = { queueMs: 700, firstByteMs: 1_200, idleMs: 1_200 };
export const CONTRACT_CHILDREN = 2;

const SCRIPTS = {
  'hello.php':
    '<?php header("X-Two: a"); header("X-Two: b", false); http_response_code(201); echo "hello ", $_GET["name"] ?? "";',
  'length.php': '<?php $b = file_get_contents("php://input"); echo strlen($b), " ", md5($b);',
  'wait.php':
    '<?php echo "first"; ob_flush(); flush(); while (!file_exists($_GET["file"])) { clearstatcache(); usleep(5000); } echo "last";',
  'big.php': '<?php for ($i = 0; $i < $_GET["mib"]; $i++) echo str_repeat(chr(65 + $i % 26), 1 << 20);',
  'endless.php': '<?php for (;;) { echo str_repeat("x", 65536); }',
  'silent.php': '<?php usleep($_GET["ms"] * 1000); echo "done";',
  'once.php': '<?php file_put_contents($_GET["file"], "x", FILE_APPEND); posix_kill(getmypid(), 9);',
  'halfway.php': '<?php echo str_repeat("x", 100000); ob_flush(); flush(); usleep(50000); posix_kill(getmypid(), 9);',
  'errors.php': '<?php error_log("to the log"); http_response_code(503); echo "sorry";',
  'fatal.php': '<?php ini_set("display_errors", 0); undefined_function();',
  'headers.php': '<?php for ($i = 0; $i < 40; $i++) header("X-$i: " . str_repeat("h", 2000)); echo "x";',
  'pid.php': '<?php echo getmypid();',
};

interface RunOptions {
  readonly method?: string;
  readonly query?: string;
  readonly body?: PhpBody;
  readonly isGone?: () => boolean;
  readonly params?: readonly [string, string][];
  readonly onErrors?: (text: string, status: number) => void;
}

/** What every {@link PhpPool} does, against a real php-fpm. */
export function phpPoolContract(name: string, open: (documentRoot: string) => Promise<PoolUnderTest>): void {
  describe(`${name} as a pool of PHP`, () => {
    let folder: ScriptFolder;
    let subject: PoolUnderTest;
    let pool: PhpPool;
    let fileCount = 0;
    const newFile = () => join(folder.path, 'shared', `file-${fileCount++}`);

    beforeAll(async () => {
      folder = await createScriptFolder(SCRIPTS);
      await mkdir(join(folder.path, 'shared'));
      await chmod(join(folder.path, 'shared'), 0o777);
      subject = await open(folder.path);
      pool = subject.pool;
      pool.start();
    });
    afterAll(async () => {
      await subject?.close();
      await folder?.[Symbol.asyncDispose]();
    });

    const run = (
      script: string,
      { method = 'GET', query = '', body, isGone, params = [], onErrors }: RunOptions = {},
    ) =>
      pool.send({
        params: [
          ['REQUEST_METHOD', method],
          ['SCRIPT_FILENAME', join(folder.path, script)],
          ['SCRIPT_NAME', `/${script}`],
          ['QUERY_STRING', query],
          ['SERVER_PROTOCOL', 'HTTP/1.1'],
          ...(body ? [['CONTENT_LENGTH', String(body.size)] as [string, string]] : []),
          ...params,
        ],
        body: body ?? null,
        isSafe: method === 'GET',
        isGone: isGone ?? (() => false),
        onErrors: onErrors ?? (() => undefined),
      });
    const textOf = async (answer: PhpAnswer | Promise<PhpAnswer>) => new Response((await answer).body).text();
    const codeOf = (answer: Promise<PhpAnswer>): Promise<string> =>
      answer.then(
        async (given) => `answered ${given.status}`,
        (error: unknown) => (error instanceof AppError ? error.code : String(error)),
      );
    const isRested = () => pool.load.busy === 0 && pool.load.lost === 0 && pool.load.queued === 0;

    test('runs a script and gives status, headers in order, and the whole body at once', async () => {
      const { status, headers, body } = await run('hello.php', { query: 'name=Ada' });
      expect(status).toBe(201);
      expect(headers.filter(([header]) => header === 'x-two')).toEqual([
        ['x-two', 'a'],
        ['x-two', 'b'],
      ]);
      expect(body).toBeInstanceOf(Uint8Array);
      expect(Buffer.from(body as Uint8Array).toString()).toBe('hello Ada');
    });

    test('gives HEAD a head and no body', async () => {
      const answer = await run('hello.php', { method: 'HEAD' });
      expect([answer.status, await textOf(answer)]).toEqual([201, '']);
    });

    test.each([1, 65_535, 65_536, 300_000])('hands over a body of %d bytes whole', async (size) => {
      const bytes = Buffer.alloc(size, 'körper');
      const answer = run('length.php', { method: 'POST', body: { size, open: () => bytes } });
      expect(await textOf(answer)).toBe(`${size} ${new Bun.CryptoHasher('md5').update(bytes).digest('hex')}`);
    });

    test('hands over a body that comes in pieces, larger than any buffer', async () => {
      const piece = Buffer.alloc(100_000, 'piece');
      const hash = new Bun.CryptoHasher('md5');
      async function* pieces() {
        for (let index = 0; index < 60; index++) yield piece;
      }
      for (let index = 0; index < 60; index++) hash.update(piece);
      const body = { size: 6_000_000, open: pieces };
      expect(await textOf(run('length.php', { method: 'POST', body }))).toBe(`6000000 ${hash.digest('hex')}`);
    });

    test.each(['shorter', 'longer'])('gives up a body that is %s than announced, and serves the next', async (kind) => {
      async function* pieces() {
        yield Buffer.alloc(kind === 'shorter' ? 10 : 200_000);
      }
      const body = { size: 100_000, open: pieces };
      expect(await codeOf(run('length.php', { method: 'POST', body }))).toBe('request/malformed');
      expect(await textOf(run('hello.php'))).toBe('hello ');
      await eventually(isRested);
    });

    test('passes on what is flushed before the script ends', async () => {
      const file = newFile();
      const { body } = await run('wait.php', { query: `file=${file}` });
      const reader = (body as ReadableStream<Uint8Array>).getReader();
      expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('first');
      await writeFile(file, '');
      let rest = '';
      for (let part = await reader.read(); !part.done; part = await reader.read()) rest += Buffer.from(part.value);
      expect(rest).toBe('last');
    });

    test('streams a large body whole', async () => {
      let size = 0;
      const { body } = await run('big.php', { query: 'mib=24' });
      for await (const chunk of body as ReadableStream<Uint8Array>) size += chunk.length;
      expect(size).toBe(24 << 20);
    });

    test('holds back a script whose client takes nothing, and gives the client up in the end', async () => {
      const { body } = await run('big.php', { query: 'mib=64' });
      const before = process.memoryUsage().arrayBuffers;
      await eventually(() => pool.load.busy === 0 && pool.load.lost === 0);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 << 20);
      const outcome = await new Response(body).arrayBuffer().then(
        () => 'whole',
        () => 'cut',
      );
      expect(outcome).toBe('cut');
    });

    test('serves those who wait in the order in which they came', async () => {
      // All children but one are held, so that one after the other is served.
      const file = newFile();
      const held = await Promise.all(
        Array.from({ length: CONTRACT_CHILDREN - 1 }, () => run('wait.php', { query: `file=${file}` })),
      );
      const order: number[] = [];
      await Promise.all(Array.from({ length: 12 }, (_, index) => run('hello.php').then(() => order.push(index))));
      expect(order).toEqual(order.map((_, index) => index));
      await writeFile(file, '');
      await Promise.all(held.map(textOf));
    });

    test('says busy to those who waited for too long, and serves the next', async () => {
      const files = [newFile(), newFile()];
      const held = files.map((file) => run('wait.php', { query: `file=${file}` }));
      await Promise.all(held);
      expect(await codeOf(run('hello.php'))).toBe('php/busy');
      for (const file of files) await writeFile(file, '');
      await Promise.all(held.map(textOf));
      expect(await textOf(run('hello.php'))).toBe('hello ');
    });

    test('ends the wait for a script that stays silent, and has its child again when it ends', async () => {
      expect(await codeOf(run('silent.php', { query: 'ms=1900' }))).toBe('php/timeout');
      expect(await textOf(run('hello.php'))).toBe('hello ');
      await eventually(isRested);
    });

    test('loses no child to clients that go away while they read', async () => {
      for (let count = 0; count < CONTRACT_CHILDREN * 2 + 1; count++) {
        const { body } = await run('endless.php');
        const reader = (body as ReadableStream<Uint8Array>).getReader();
        await reader.read();
        await reader.cancel();
      }
      expect(await textOf(run('hello.php'))).toBe('hello ');
      await eventually(isRested);
    });

    test('loses no child to clients that go away before the answer, nor to those that go away while they wait', async () => {
      let isGone = false;
      const waiting = Array.from({ length: CONTRACT_CHILDREN * 2 }, () =>
        codeOf(run('silent.php', { query: 'ms=600', isGone: () => isGone })),
      );
      await eventually(() => pool.load.busy === CONTRACT_CHILDREN);
      isGone = true;
      expect(new Set(await Promise.all(waiting))).toEqual(new Set(['request/malformed']));
      await eventually(isRested);
      expect(await textOf(run('hello.php'))).toBe('hello ');
    });

    test('takes a fresh connection when the child of a kept one has gone', async () => {
      for (let count = 0; count < 6; count++) {
        process.kill(Number(await textOf(run('pid.php'))), 'SIGKILL');
        expect(await textOf(run('hello.php'))).toBe('hello ');
      }
    });

    test('never runs a script twice that is not safe to repeat', async () => {
      await textOf(run('hello.php'));
      const file = newFile();
      expect(await codeOf(run('once.php', { method: 'POST', query: `file=${file}` }))).toBe('php/bad-answer');
      expect(await readFile(file, 'utf8')).toBe('x');
    });

    test('shows a client that the child died in the middle of its answer', async () => {
      const { body } = await run('halfway.php');
      expect(await new Response(body).text().catch(() => 'cut')).toBe('cut');
      expect(await textOf(run('hello.php'))).toBe('hello ');
    });

    test('tells what a script wrote to its error log, with the status', async () => {
      const told = Promise.withResolvers<[string, number]>();
      await run('errors.php', { onErrors: (text, status) => told.resolve([text, status]) });
      const [text, status] = await told.promise;
      expect(text).toContain('to the log');
      expect(status).toBe(503);
    });

    test('gives the status of a fatal error', async () => {
      const told = Promise.withResolvers<string>();
      expect((await run('fatal.php', { onErrors: (text) => told.resolve(text) })).status).toBe(500);
      expect(await told.promise).toContain('undefined_function');
    });

    test('refuses a head that is too large', async () => {
      expect(await codeOf(run('headers.php'))).toBe('php/bad-answer');
      expect(await textOf(run('hello.php'))).toBe('hello ');
    });

    test('takes many parameters, and none that is larger than php-fpm takes', async () => {
      const many = Array.from({ length: 100 }, (_, index): [string, string] => [`HTTP_X_${index}`, 'x'.repeat(3_000)]);
      expect(await textOf(run('hello.php', { params: many }))).toBe('hello ');
      const huge: [string, string] = ['HTTP_X', 'x'.repeat(66_000)];
      expect(await codeOf(run('hello.php', { params: [huge] }))).toBe('php/too-many-headers');
      expect(await textOf(run('hello.php'))).toBe('hello ');
    });

    test('serves many at once without losing one', async () => {
      const answers = await Promise.all(
        Array.from({ length: 300 }, async (_, index) => textOf(run('hello.php', { query: `name=${index}` }))),
      );
      expect(answers).toEqual(answers.map((_, index) => `hello ${index}`));
    });

    test('says that it is well', async () => {
      expect(await pool.ping()).toEqual({ status: 'ok' });
    });
  });
}
