import { describe, expect, test } from 'bun:test';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attachedPhpPool } from '../../src/drivers/attached-php-pool.ts';
import { spawnedPhpPool } from '../../src/drivers/spawned-php-pool.ts';
import type { PhpObserver, PhpPool } from '../../src/ports/php-pool.ts';
import { CONTRACT_CHILDREN, CONTRACT_LIMITS, phpPoolContract } from '../contracts/php-pool.ts';
import { eventually } from '../support/eventually.ts';
import { recordingLog } from '../support/fakes.ts';
import { createScriptFolder, PHP_FPM, startPhpFpm } from '../support/php-fpm.ts';

const silent: PhpObserver = {
  onTurn: () => undefined,
  onDial: () => undefined,
  onRetry: () => undefined,
  onStatus: () => undefined,
  onSlow: () => undefined,
};

async function spawnPool(documentRoot: string, { children = CONTRACT_CHILDREN, binary = PHP_FPM ?? '' } = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), 'bunkhouse-php-data-'));
  const log = recordingLog();
  const pool = spawnedPhpPool({
    binary,
    documentRoot,
    dataDir,
    children,
    maxBodyBytes: 0,
    log,
    observer: silent,
    limits: CONTRACT_LIMITS,
  });
  return {
    pool,
    log,
    dataDir,
    async close() {
      await pool.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

describe.if(PHP_FPM !== null)('php-fpm', () => {
  phpPoolContract('a spawned php-fpm', (documentRoot) => spawnPool(documentRoot));

  for (const kind of ['unix', 'tcp'] as const) {
    phpPoolContract(`a php-fpm reached over ${kind}`, async () => {
      const phpFpm = await startPhpFpm(kind, { children: CONTRACT_CHILDREN });
      const pool = attachedPhpPool({
        address: phpFpm.address,
        size: CONTRACT_CHILDREN,
        observer: silent,
        limits: CONTRACT_LIMITS,
      });
      return {
        pool,
        async close() {
          await pool.stop();
          await phpFpm[Symbol.asyncDispose]();
        },
      };
    });
  }

  const hello = (pool: PhpPool, file: string, method = 'GET') =>
    pool.send({
      params: [
        ['REQUEST_METHOD', method],
        ['SCRIPT_FILENAME', file],
        ['SCRIPT_NAME', '/script.php'],
      ],
      body: null,
      isSafe: method === 'GET',
      isGone: () => false,
      onErrors: () => undefined,
    });
  const masterOf = (log: ReturnType<typeof recordingLog>) =>
    log.lines.flatMap(({ fields, message }) => (message === 'php-fpm runs' ? [fields['pid'] as number] : []));

  test('loses no request while children are replaced after every few of them', async () => {
    await using folder = await createScriptFolder({ 'script.php': '<?php echo "x";' });
    await using phpFpm = await startPhpFpm('unix', { children: 2, maxRequests: 5 });
    let retries = 0;
    const observer = { ...silent, onRetry: () => void retries++ };
    const pool = attachedPhpPool({ address: phpFpm.address, size: 2, observer });
    const statuses = await Promise.all(
      Array.from({ length: 120 }, async () => (await hello(pool, join(folder.path, 'script.php'))).status),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(retries).toBeGreaterThan(0);
    await pool.stop();
  });

  test('reloads under load without losing a request, whatever its method', async () => {
    await using folder = await createScriptFolder({ 'script.php': '<?php usleep(2000); echo getmypid();' });
    const subject = await spawnPool(folder.path);
    const { pool } = subject;
    pool.start();
    const file = join(folder.path, 'script.php');
    const pids = new Set<string>();
    let isOver = false;
    const clients = Array.from({ length: 8 }, async (_, index) => {
      let count = 0;
      while (!isOver) {
        const answer = await hello(pool, file, index % 2 === 0 ? 'GET' : 'POST');
        expect(answer.status).toBe(200);
        pids.add(await new Response(answer.body).text());
        count++;
      }
      return count;
    });
    await eventually(() => pids.size === 2);
    for (let turn = 1; turn <= 3; turn++) {
      await pool.reload();
      await eventually(() => pids.size >= 2 * (turn + 1));
    }
    isOver = true;
    expect((await Promise.all(clients)).every((count) => count > 0)).toBe(true);
    // The same master throughout: it was reloaded, not restarted.
    expect(masterOf(subject.log)).toHaveLength(1);
    await subject.close();
  });

  test('is started again when it is killed, and requests wait for it', async () => {
    await using folder = await createScriptFolder({ 'script.php': '<?php echo "x";' });
    const subject = await spawnPool(folder.path);
    const { pool, log } = subject;
    const file = join(folder.path, 'script.php');
    expect((await hello(pool, file)).status).toBe(200);
    process.kill(masterOf(log)[0] as number, 'SIGKILL');
    await eventually(() => log.lines.some(({ message }) => message.includes('started again')));
    expect((await hello(pool, file)).status).toBe(200);
    expect(masterOf(log)).toHaveLength(2);
    await subject.close();
  });

  test('leaves nothing behind when it stops', async () => {
    await using folder = await createScriptFolder({ 'script.php': '<?php echo getmypid();' });
    const subject = await spawnPool(folder.path);
    const child = Number(await new Response((await hello(subject.pool, join(folder.path, 'script.php'))).body).text());
    const [master] = masterOf(subject.log);
    await subject.pool.stop();
    const isAlive = (pid: number) => {
      try {
        process.kill(pid, 0);
        return true;
      } catch {
        return false;
      }
    };
    expect([isAlive(child), isAlive(master as number)]).toEqual([false, false]);
    await subject.close();
  });

  test('that cannot start is said to be down, and requests are refused at once', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-broken-'));
    const binary = join(folder, 'php-fpm');
    await Bun.write(binary, '#!/bin/sh\necho "it is broken" >&2\nexit 78\n');
    await chmod(binary, 0o755);
    const subject = await spawnPool(folder, { binary });
    subject.pool.start();
    await eventually(async () => (await subject.pool.ping()).status === 'down');
    const fault = () => subject.log.lines.find(({ message }) => message === 'php-fpm does not start');
    await eventually(() => fault() !== undefined);
    const code = await hello(subject.pool, '/nothing.php').catch((error: { code: string }) => error.code);
    expect(code).toBe('php/unavailable');
    expect(String(fault()?.fields['err'])).toContain('it is broken');
    await subject.close();
    await rm(folder, { recursive: true });
  });
});
