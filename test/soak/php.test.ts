import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PHP_FPM } from '../support/php-fpm.ts';

const ROOT = join(import.meta.dirname, '../..');

test.if(PHP_FPM !== null)(
  'a small run of the soak php: what passes through scripts is whole or visibly cut, whatever is killed',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-soak-'));
    const child = Bun.spawn(
      [process.execPath, 'soak/run.ts', 'php', '--size', '64', '--log', join(directory, 'log.jsonl')],
      { cwd: ROOT, stdout: 'pipe', stderr: 'ignore' },
    );
    const [said, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
    expect(said).toStartWith('soak php: kept;');
    expect(said).toContain('mastersKilled 1,');
    expect(code).toBe(0);
    await rm(directory, { recursive: true });
  },
  120_000,
);
