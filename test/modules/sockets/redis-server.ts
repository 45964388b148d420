import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../support/eventually.ts';

/** A Redis of its own, reached over a socket file, that keeps nothing on disk. */
export interface TestRedis {
  readonly url: string;
  /** Ends it at once, with all it knew. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Stops its process where it stands: connections stay and nothing is answered. */
  sleep(): void;
  wake(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Whether there is one on this machine; without it these tests have nothing to run against. */
export const hasRedis = Bun.which('redis-server') !== null;

export async function startRedis(): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-redis-'));
  const path = join(directory, 'redis.sock');
  const url = `redis+unix://${path}`;
  let child: Bun.Subprocess | null = null;
  const start = async () => {
    child = Bun.spawn(
      ['redis-server', '--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no', '--dir', directory],
      {
        stdout: 'ignore',
        stderr: 'ignore',
      },
    );
    await eventually(async () => {
      const client = new Bun.RedisClient(url, { autoReconnect: false });
      try {
        await client.connect();
        return (await client.send('PING', [])) === 'PONG';
      } catch {
        return false;
      } finally {
        client.close();
      }
    });
  };
  const kill = async () => {
    child?.kill('SIGKILL');
    await child?.exited;
  };
  await start();
  return {
    url,
    kill,
    start,
    sleep: () => child?.kill('SIGSTOP'),
    wake: () => child?.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
