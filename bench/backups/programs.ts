import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { SECRET } from '../harness/bunkhouse.ts';
import { flushDisk, run } from '../harness/tools.ts';
import type { Dataset } from './dataset.ts';
import { watchFamily } from './family.ts';

const ROOT = dirname(dirname(import.meta.dir));
const PASSWORD = 'a password of the benchmarks only';
const VERSION_TIMEOUT_MS = 5_000;

/** One command, with all its processes. */
export interface Taken {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

export interface BackupRound {
  readonly full: Taken;
  /** The same, and all that was written read back and compared. */
  readonly proven: Taken;
  /** Once more, with nothing changed. */
  readonly again: Taken;
  readonly restore: Taken;
}

/** What takes backups of a directory and restores them. */
export interface BackupProgram {
  readonly name: string;
  readonly version: string;
  takeAndRestore(dataset: Dataset, round: number): Promise<BackupRound>;
}

/** Our own commands, on a server that is stopped, without encryption. */
export function ours(bench: Bench): BackupProgram {
  return {
    name: 'bunkhouse',
    version: '',
    async takeAndRestore({ dataDir, files }, round) {
      const place = join(bench.workDir, `ours-${round}`);
      const env = { DATA_DIR: dataDir, BACKUP_URL: `file:${join(place, 'repository')}`, BUNKHOUSE_SECRET: SECRET };
      const command = (...args: string[]) => [process.execPath, join(ROOT, 'src/cli/index.ts'), 'backup', ...args];
      mkdirSync(place);
      const full = await measure(command('create', '--json'), env);
      const blobs = countFiles(join(place, 'repository/blobs'));
      const again = await measure(command('create', '--json'), env);
      const added = countFiles(join(place, 'repository/blobs')) - blobs;
      if (blobs !== files || added !== 0)
        throw new Error(`${blobs} contents were stored, and ${added} more the second time`);
      const restore = await measure(command('restore', 'latest', '--to', join(place, 'restored'), '--yes'), env);
      if (countFiles(join(place, 'restored/objects')) < files) throw new Error('files are missing after the restore');
      rmSync(place, { recursive: true });
      // Nothing counts as taken here that was not read back.
      return { full, proven: full, again, restore };
    },
  };
}

/** restic with its defaults; it has no mode without encryption. */
export async function resticProgram(bench: Bench): Promise<BackupProgram> {
  const [, version = ''] = (await run(['restic', 'version'], VERSION_TIMEOUT_MS)).split(' ');
  return {
    name: 'restic',
    version: `restic ${version}`,
    async takeAndRestore({ dataDir }, round) {
      const place = join(bench.workDir, `restic-${round}`);
      const env = {
        RESTIC_PASSWORD: PASSWORD,
        RESTIC_REPOSITORY: join(place, 'repository'),
        RESTIC_CACHE_DIR: join(place, 'cache'),
      };
      mkdirSync(place);
      await measure(['restic', 'init', '-q'], env);
      const full = await measure(['restic', 'backup', '-q', dataDir], env);
      const check = await measure(['restic', 'check', '-q', '--read-data'], env);
      const again = await measure(['restic', 'backup', '-q', dataDir], env);
      const restore = await measure(['restic', 'restore', '-q', 'latest', '--target', join(place, 'restored')], env);
      rmSync(place, { recursive: true });
      return { full, proven: bothOf(full, check), again, restore };
    },
  };
}

/** One command after the other. */
function bothOf(first: Taken, second: Taken): Taken {
  return {
    seconds: first.seconds + second.seconds,
    cpuSeconds: first.cpuSeconds + second.cpuSeconds,
    peakBytes: Math.max(first.peakBytes, second.peakBytes),
  };
}

/** Runs a command and waits until the disk has what it wrote: both sides' data is durable then. */
async function measure(command: readonly string[], env: Readonly<Record<string, string>>): Promise<Taken> {
  await flushDisk();
  const { PATH = '', HOME = '' } = process.env;
  const startedAt = performance.now();
  const child = Bun.spawn([...command], {
    env: { PATH, HOME, ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const family = watchFamily(child.pid);
  const [said, complaint, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  await flushDisk();
  const seconds = (performance.now() - startedAt) / 1_000;
  const { peakBytes } = family.stop();
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${(complaint || said).slice(-2_000)}`);
  return { seconds, cpuSeconds: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6, peakBytes };
}

function countFiles(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
}
