import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Call, createClient } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { createScriptFolder, PHP_FPM, type ScriptFolder } from '../support/php-fpm.ts';
import { startServer, type TestServer } from '../support/server.ts';

let site: ScriptFolder;
let server: TestServer;
let call: Call;
beforeAll(async () => {
  site = await createScriptFolder({
    'big.php': '<?php for ($i = 0; $i < $_GET["mib"]; $i++) echo str_repeat("x", 1 << 20);',
    'endless.php': '<?php set_time_limit(1); for (;;);',
    'sleep.php': '<?php sleep((int) $_GET["s"]); echo "slept";',
    'pid.php': '<?php usleep(2000); echo getmypid();',
  });
  server = await startServer({ env: { PHP_ROOT: site.path, PHP_CHILDREN: '2' } });
  call = createClient(server.url);
});
afterAll(async () => {
  await server?.stop();
  await server?.[Symbol.asyncDispose]();
  await site?.[Symbol.asyncDispose]();
});

const peakBytes = async () =>
  Number(/VmHWM:\s+(\d+) kB/.exec(await Bun.file(`/proc/${server.pid}/status`).text())?.[1] ?? 0) * 1024;

describe.if(PHP_FPM !== null)('PHP under load', () => {
  test('passes output on that is larger than memory should hold, also to a slow reader', async () => {
    await call('GET', '/php/big.php?mib=1');
    const before = await peakBytes();
    const response = await fetch(`${server.url}/php/big.php?mib=300`);
    let size = 0;
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      size += chunk.length;
      // Now and then it takes nothing for a while.
      if (size % 97 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(size).toBe(300 << 20);
    expect((await peakBytes()) - before).toBeLessThan(96 << 20);
  });

  test('answers for a script that never ends, and serves the next', async () => {
    expect((await call('GET', '/php/endless.php', { may5xx: true })).status).toBe(500);
    expect((await call('GET', '/php/sleep.php?s=0')).text).toBe('slept');
  });

  test('says when to come back while every child is busy, and serves afterwards', async () => {
    const held = [1, 2].map((n) => call('GET', `/php/sleep.php?s=7&n=${n}`));
    const ask = () => call('GET', '/php/pid.php', { may5xx: true });
    let refused = await ask();
    // The others may not have their children yet.
    while (refused.status === 200) refused = await ask();
    expect([refused.status, refused.json['code'], refused.headers.get('retry-after')]).toEqual([503, 'php/busy', '1']);
    expect((await call('GET', '/health/ready')).json['status']).toBe('ok');
    expect((await Promise.all(held)).map(({ text }) => text)).toEqual(['slept', 'slept']);
    expect((await call('GET', '/php/pid.php')).status).toBe(200);
  });

  test('loses no request while it is reloaded by a signal', async () => {
    const pids = new Set<string>();
    let isOver = false;
    const clients = Array.from({ length: 6 }, async (_, index) => {
      while (!isOver) pids.add((await call(index % 2 === 0 ? 'GET' : 'POST', '/php/pid.php')).text);
    });
    await eventually(() => pids.size === 2);
    process.kill(server.pid, 'SIGUSR2');
    await eventually(() => pids.size >= 4, 20_000);
    isOver = true;
    await Promise.all(clients);
    expect([...pids].every((pid) => /^\d+$/.test(pid))).toBe(true);
  });
});
