import { join } from 'node:path';

const CLI = join(import.meta.dirname, '../../src/cli/index.ts');

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd: string;
}

/** Runs one command to its end, with nothing of this process' environment but where programs are. */
export async function runCli(args: readonly string[], { env = {}, stdin = '', cwd }: CliOptions): Promise<CliResult> {
  const child = Bun.spawn([process.execPath, CLI, ...args], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', NODE_ENV: 'test', ...env },
    stdin: new TextEncoder().encode(stdin),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}
