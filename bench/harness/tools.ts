import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** The server has one core to itself and the client the other, so that they do not take time from each other. */
export const SERVER_CORE = 0;
export const CLIENT_CORE = 1;

const INSTALL_TIMEOUT_MS = 5 * 60_000;

/** Whether processes can be held to cores here. */
export const canPin = availableParallelism() >= 2 && Bun.which('taskset') !== null;

/** The command, held to one core where the machine can do that. */
export function pinned(core: number, command: readonly string[]): string[] {
  return canPin ? ['taskset', '-c', String(core), ...command] : [...command];
}

/** Sees to it that the programs are there: installs them as root on Debian, throws with their names elsewhere. */
export async function needTools(packages: Readonly<Record<string, string>>): Promise<void> {
  const missing = Object.keys(packages).filter((program) => Bun.which(program) === null);
  if (missing.length === 0) return;
  const names = missing.map((program) => packages[program] ?? program);
  if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
    console.error(`installing ${names.join(', ')}`);
    await run(['apt-get', 'install', '-y', '-q', ...names], INSTALL_TIMEOUT_MS);
  }
  const stillMissing = missing.filter((program) => Bun.which(program) === null);
  if (stillMissing.length > 0) throw new Error(`needed and not found: ${stillMissing.join(', ')}`);
}

/** Runs a command to its end and gives its standard output. Throws with what it said when it fails or takes too long. */
export async function run(command: readonly string[], timeoutMs: number, cwd?: string): Promise<string> {
  return (await runCounted(command, timeoutMs, cwd)).stdout;
}

/** As `run`, and says how much CPU time the command took. */
export async function runCounted(command: readonly string[], timeoutMs: number, cwd = process.cwd()) {
  const child = Bun.spawn([...command], { cwd, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', timeout: timeoutMs });
  const [stdout, stderr, code] = await Promise.all([textOf(child.stdout), textOf(child.stderr), child.exited]);
  if (code !== 0)
    throw new Error(`${command.join(' ')} ended with ${code ?? 'a signal'}: ${(stderr || stdout).slice(-2000)}`);
  return { stdout, cpuSeconds: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6 };
}

/** Waits until the disk has what was written so far, so that the next one to be measured does not pay for it. */
export async function flushDisk(): Promise<void> {
  await run(['sync'], INSTALL_TIMEOUT_MS);
}

function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return new Response(stream).text();
}
