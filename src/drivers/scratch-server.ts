import { join } from 'node:path';
import { randomToken } from '../kernel/ids.ts';

const ENTRY = join(import.meta.dirname, '../cli/index.ts');
const END_WITH_PARENT = join(import.meta.dirname, '../workers/end-with-parent.ts');
const READY = /Bunkhouse is running at (\S+)\n/;
const START_MS = 120_000;
const STOP_MS = 10_000;
/** What is kept of what it says. */
const OUTPUT_BYTES = 4_000;

export interface ScratchServerOptions {
  /** All it has; made by a restore. */
  readonly dataDir: string;
  /** Settings beside those that keep it apart. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts this program in a process of its own, on data of its own: it listens on the loopback address alone and knows none of the
 * settings of this process, so it reaches nothing that is in use.
 * @returns the last lines it wrote when it does not come up.
 */
export async function startScratchServer({ dataDir, env = {}, signal }: ScratchServerOptions) {
  const key = randomToken(32);
  const child = Bun.spawn([process.execPath, '--preload', END_WITH_PARENT, ENTRY, 'serve'], {
    // No .env is found there.
    cwd: dataDir,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      NODE_ENV: 'development',
      HOST: '127.0.0.1',
      PORT: '0',
      DATA_DIR: dataDir,
      BACKUP_URL: `file:${join(dataDir, 'backups')}`,
      BACKUP_SCHEDULE: 'off',
      PUBLIC_DIR: join(dataDir, 'public'),
      SERVERS: 'uploads',
      SERVER_KEY: key,
      RATE_LIMIT: 'off',
      LOG_LEVEL: 'error',
      ...env,
    },
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const kill = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', kill, { once: true });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const late = setTimeout(kill, STOP_MS);
    await child.exited;
    clearTimeout(late);
    signal?.removeEventListener('abort', kill);
  };

  let output = '';
  const url = await new Promise<string | null>((resolve) => {
    const late = setTimeout(() => resolve(null), START_MS);
    const collect = async (stream: ReadableStream<Uint8Array>) => {
      const decoder = new TextDecoder();
      for await (const chunk of stream) {
        output = (output + decoder.decode(chunk, { stream: true })).slice(-OUTPUT_BYTES);
        const address = READY.exec(output)?.[1];
        if (address) resolve(address);
      }
    };
    Promise.all([collect(child.stdout), collect(child.stderr)]).finally(() => {
      clearTimeout(late);
      resolve(null);
    });
  });
  if (url === null) {
    await stop();
    signal?.throwIfAborted();
    return output.trim() || 'it ended without a word';
  }
  return {
    get: (path: string): Promise<Response> => fetch(`${url}${path}`, { headers: { authorization: `Bearer ${key}` } }),
    stop,
  };
}
