import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

test('a small run of the soak: an upload outlives two crashes and a move, and nothing is sent twice but what was under way', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-soak-'));
  const child = Bun.spawn(
    [process.execPath, 'soak/run.ts', 'uploads', '--size', '64', '--log', join(directory, 'log.jsonl')],
    { cwd: ROOT, stdout: 'pipe', stderr: 'ignore' },
  );
  const [said, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  expect(said).toStartWith('soak uploads: kept;');
  expect(said).toContain('kills 2, moves 1,');
  expect(code).toBe(0);
  await rm(directory, { recursive: true });
}, 120_000);
