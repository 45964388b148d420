import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** A Bunkhouse process of its own, on a free port, with its data in a temporary folder. */
export interface TestServer {
  readonly url: string;
  readonly dataDir: string;
  readonly pid: number;
  /** What it has written so far. */
  readonly output: () => string;
  /** Its exit code, once it has ended and all it wrote is there. */
  readonly exited: Promise<number>;
  /** Ends it at once, as a crash would; the data stays. */
  kill(): Promise<void>;
  /** Ends it as an operator would. @returns the exit code. */
  stop(): Promise<number>;
  /** Starts it again on the same data; the port may differ. */
  restart(env?: Record<string, string>): Promise<TestServer>;
  [Symbol.asyncDispose](): Promise<void>;
}

const READY = /Bunkhouse is running at (\S+)\n/;
const START_TIMEOUT_MS = 20_000;

export interface TestServerOptions {
  readonly env?: Record<string, string>;
  /** Keeps the data of an earlier server. */
  readonly dataDir?: string;
}

/** Starts the server as `bunkhouse serve` would, and waits until it says where it listens. */
export async function startServer({ env = {}, dataDir }: TestServerOptions = {}): Promise<TestServer> {
  const directory = dataDir ?? (await mkdtemp(join(tmpdir(), 'bunkhouse-test-')));
  const child = Bun.spawn([process.execPath, join(ROOT, 'src/cli/index.ts'), 'serve'], {
    cwd: directory,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      NODE_ENV: 'test',
      PORT: '0',
      DATA_DIR: directory,
      PUBLIC_DIR: join(directory, 'public'),
      RATE_LIMIT_AUTH: '100000/60',
      RATE_LIMIT: '1000000/60',
      ...env,
    },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  let output = '';
  let heard: () => void = () => undefined;
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      output += decoder.decode(chunk, { stream: true });
      heard();
    }
  };
  const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);

  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the server did not start in time:\n${output}`));
    }, START_TIMEOUT_MS);
    heard = () => {
      const match = READY.exec(output);
      if (!match) return;
      clearTimeout(timer);
      resolve(match[1] as string);
    };
    child.exited.then((code) => {
      clearTimeout(timer);
      collected.then(() => reject(new Error(`the server ended with ${code}:\n${output}`)));
    });
  });

  return {
    url,
    dataDir: directory,
    pid: child.pid,
    output: () => output,
    exited: collected.then(() => child.exited),
    async kill() {
      child.kill('SIGKILL');
      await child.exited;
    },
    async stop() {
      child.kill('SIGTERM');
      const code = await child.exited;
      await collected;
      return code;
    },
    async restart(changes = {}) {
      child.kill('SIGKILL');
      await child.exited;
      return startServer({ env: { ...env, ...changes }, dataDir: directory });
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await child.exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
