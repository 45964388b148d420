import { expect, test } from 'bun:test';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasRedis } from '../modules/sockets/redis-server.ts';

const ROOT = join(import.meta.dirname, '../..');

test.skipIf(!hasRedis)(
  'half a minute of the soak: nobody misses a message without being told, whatever is killed',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-soak-'));
    const log = join(directory, 'log.jsonl');
    const child = Bun.spawn(
      [process.execPath, 'soak/run.ts', 'sockets', '--seconds', '30', '--size', '400', '--log', log],
      { cwd: ROOT, stdout: 'pipe', stderr: 'ignore' },
    );
    const [said, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
    const lines = (await readFile(log, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.filter(({ event }) => event === 'BROKEN')).toEqual([]);
    expect(said).toStartWith('soak sockets: kept;');
    expect(code).toBe(0);
    const end = lines.at(-1);
    expect(end).toMatchObject({ event: 'end', crashes: 2, redisRestarts: 1, broken: 0 });
    for (const figure of ['published', 'delivered', 'recovered', 'toldLost']) expect(end[figure]).toBeGreaterThan(100);
    await rm(directory, { recursive: true });
  },
  120_000,
);
