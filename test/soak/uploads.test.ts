import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

test.each(['uploads', 'uploads-s3'])(
  'a small run of the soak %s: an upload outlives two crashes and a move, and only what was under way is sent again',
  async (soak) => {
    const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-soak-'));
    const child = Bun.spawn(
      [process.execPath, 'soak/run.ts', soak, '--size', '64', '--log', join(directory, 'log.jsonl')],
      { cwd: ROOT, stdout: 'pipe', stderr: 'ignore' },
    );
    const [said, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
    expect(said).toStartWith(`soak ${soak}: kept;`);
    expect(said).toContain('kills 2, moves 1,');
    expect(code).toBe(0);
    await rm(directory, { recursive: true });
  },
  120_000,
);
