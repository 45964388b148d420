import { join } from 'node:path';

/** The process of `upstream-process.ts`. */
export interface TestUpstream extends AsyncDisposable {
  readonly origin: string;
  /** Its port that answers with what no honest server sends. */
  readonly liar: string;
  readonly port: number;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

/** @param port to take; a free one unless said. */
export async function startUpstream(name = 'upstream', port = 0): Promise<TestUpstream> {
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, 'upstream-process.ts')], {
    env: { PATH: process.env['PATH'] ?? '', NAME: name, PORT: String(port) },
    stdout: 'pipe',
    stderr: 'inherit',
  });
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes('\n')) break;
  }
  const [, first, second] = /ready (\d+) (\d+)/.exec(text) ?? [];
  if (first === undefined) throw new Error('the upstream did not start');
  const kill = async () => {
    child.kill('SIGKILL');
    await child.exited;
  };
  return {
    origin: `http://127.0.0.1:${first}`,
    liar: `http://127.0.0.1:${second}`,
    port: Number(first),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
