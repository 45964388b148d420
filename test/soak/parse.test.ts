import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

test('half a minute of the soak parse: hostile sources, and the server does not notice', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-soak-'));
  const child = Bun.spawn(
    [process.execPath, 'soak/run.ts', 'parse', '--seconds', '30', '--log', join(directory, 'log.jsonl')],
    { cwd: ROOT, stdout: 'pipe', stderr: 'ignore' },
  );
  const [said, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  expect(said).toStartWith('soak parse: kept;');
  expect(Number(/asked (\d+)/.exec(said)?.[1])).toBeGreaterThan(100);
  expect(code).toBe(0);
  await rm(directory, { recursive: true });
}, 120_000);
