import { cpus, release, totalmem, type } from 'node:os';
import { dirname, join } from 'node:path';
import { canPin, run } from './tools.ts';

const ROOT = dirname(dirname(import.meta.dir));
const TIMEOUT_MS = 5000;

/** The lines above a section that say what was measured, on what, and when. */
export async function describeRun(
  runs: number,
  seconds: number,
  workDir: string,
  peers: readonly string[],
): Promise<string> {
  const [cpu] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB memory`;
  const fileSystem = (await run(['stat', '-f', '-c', '%T', workDir], TIMEOUT_MS)).trim();
  const node = (await run(['node', '--version'], TIMEOUT_MS)).trim();
  return [
    `- ${new Date().toISOString().slice(0, 10)}, ${await revision()}`,
    `- ${cpu?.model ?? 'unknown CPU'}, ${cpus().length} cores, ${memory}, ${type()} ${release()}, files on ${fileSystem}`,
    `- bun ${Bun.version}, node ${node.replace('v', '')}${peers.length > 0 ? `, ${peers.join(', ')}` : ''}`,
    `- medians of ${runs} interleaved rounds of ${seconds} s; ${canPin ? 'server and client each on a core of their own, but where files are written' : 'no cores pinned'}`,
  ].join('\n');
}

async function revision(): Promise<string> {
  const { version } = (await Bun.file(join(ROOT, 'package.json')).json()) as { version: string };
  try {
    const commit = (await run(['git', 'rev-parse', '--short', 'HEAD'], TIMEOUT_MS, ROOT)).trim();
    const changes = (await run(['git', 'status', '--porcelain', '--', 'src'], TIMEOUT_MS, ROOT)).trim();
    return `bunkhouse ${version} at ${commit}${changes === '' ? '' : ' with changes'}`;
  } catch {
    return `bunkhouse ${version}`;
  }
}
