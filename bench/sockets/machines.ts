import { join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { figure } from '../harness/report.ts';
import { inRounds, median, medianRatio } from '../harness/rounds.ts';
import type { RunningServer } from '../harness/server.ts';
import { needTools, pinned, SERVER_CORE } from '../harness/tools.ts';
import { type Contender, type Measured, measure, openOurs } from './contenders.ts';

const SUBSCRIBERS = 10_000;
const WINDOW = 16;
const READY_MS = 10_000;

/** Two processes that share a Redis, all on the one core, against a process alone. */
export async function measureMachines(bench: Bench): Promise<void> {
  bench.say('two processes with Redis');
  await needTools({ 'redis-server': 'redis-server' });
  const alone = await openOurs(bench, 'one process', SUBSCRIBERS);
  const redis = await startRedis(bench.workDir);
  const two = await openOurs(bench, 'two processes and Redis', SUBSCRIBERS, {
    processes: 2,
    env: { REDIS_URL: redis.url },
    extra: [redis.server],
  });
  const contenders = [alone, two];
  const load = (contender: Contender) =>
    measure(contender, { seconds: bench.options.seconds, window: WINDOW, intervalMs: 0 });
  for (const contender of contenders) await load(contender);
  const samples = await inRounds<Contender, Measured>(contenders, bench.options.runs, load);
  const of = (contender: Contender, key: keyof Measured) => (samples.get(contender) ?? []).map((each) => each[key]);

  bench.report.find({
    what: 'deliveries/s of two processes with Redis against one alone, on one core',
    value: medianRatio(of(two, 'deliveriesPerSecond'), of(alone, 'deliveriesPerSecond')),
    unit: 'ratio',
    atLeast: 0.4,
    aside: `by CPU time ${medianRatio(of(alone, 'cpuMicros'), of(two, 'cpuMicros')).toFixed(2)} ×`,
  });
  bench.report.table(
    'Through Redis',
    ['servers', 'deliveries/s', 'CPU µs/delivery', 'core in use', 'p95 ms'],
    contenders.map((contender) => [
      contender.name,
      figure(median(of(contender, 'deliveriesPerSecond'))),
      figure(median(of(contender, 'cpuMicros'))),
      `${Math.round(median(of(contender, 'busy')) * 100)} %`,
      figure(median(of(contender, 'p95Ms'))),
    ]),
  );
  for (const contender of contenders) await contender.close();
  await redis.server.stop();
}

async function startRedis(workDir: string): Promise<{ readonly url: string; readonly server: RunningServer }> {
  const path = join(workDir, 'redis.sock');
  const url = `redis+unix://${path}`;
  const startedAt = performance.now();
  const child = Bun.spawn(
    pinned(SERVER_CORE, ['redis-server', '--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no']),
    { cwd: workDir, stdout: 'ignore', stderr: 'ignore' },
  );
  const stop = async () => {
    child.kill();
    await child.exited;
  };
  for (;;) {
    const client = new Bun.RedisClient(url, { autoReconnect: false });
    const isReady = await client.connect().then(
      () => true,
      () => false,
    );
    client.close();
    if (isReady) break;
    if (performance.now() - startedAt > READY_MS) {
      await stop();
      throw new Error('Redis was not ready in time');
    }
    await Bun.sleep(20);
  }
  return {
    url,
    server: {
      name: 'redis',
      isPinned: true,
      pid: child.pid,
      origin: url,
      startMs: performance.now() - startedAt,
      stop,
    },
  };
}
