import { join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { bunkhouse } from '../harness/bunkhouse.ts';
import { residentBytes } from '../harness/proc.ts';
import { figure, megabytes } from '../harness/report.ts';
import { median } from '../harness/rounds.ts';

const MAX_START_MS = 400;
const MAX_IDLE_MB = 120;
/** A server that is not ready after so long never will be. */
const MAX_READY_MS = 30_000;
const READY_LOOK_MS = 2;
const SETTLE_MS = 1000;

interface Sample {
  readonly startMs: number;
  /** To the first 200 on `/health/ready`, asked for as soon as it lived. */
  readonly readyMs: number;
  readonly idleMb: number;
}

/** From the start of `./bunkhouse serve` to its first 200, and what it takes of memory when nobody calls. */
export async function measureStart(bench: Bench): Promise<void> {
  bench.say('start and idle memory');
  const fresh: Sample[] = [];
  const again: Sample[] = [];
  for (let round = 0; round < bench.options.runs; round++) {
    const dataDir = join(bench.workDir, `start-${round}`);
    fresh.push(await startOnce(bench, dataDir));
    again.push(await startOnce(bench, dataDir));
  }
  const startMs = (samples: readonly Sample[]) => samples.map((sample) => sample.startMs);
  const idleMb = (samples: readonly Sample[]) => samples.map((sample) => sample.idleMb);
  bench.report.find({
    what: 'start to the first 200 on /health/live, empty DATA_DIR',
    value: median(startMs(fresh)),
    unit: 'ms',
    atMost: MAX_START_MS,
  });
  bench.report.find({
    what: 'start to the first 200 on /health/live, DATA_DIR there already',
    value: median(startMs(again)),
    unit: 'ms',
    atMost: MAX_START_MS,
  });
  bench.report.find({
    what: 'start to the first 200 on /health/ready, empty DATA_DIR',
    value: median(fresh.map((sample) => sample.readyMs)),
    unit: 'ms',
  });
  bench.report.find({
    what: 'idle memory after the start',
    value: median(idleMb(fresh)),
    unit: 'MB',
    atMost: MAX_IDLE_MB,
  });
  bench.report.table(
    'Start',
    ['DATA_DIR', 'ms to first 200', 'least–most', 'ms to ready', 'idle MB'],
    [
      { name: 'empty', samples: fresh },
      { name: 'there already', samples: again },
    ].map(({ name, samples }) => [
      name,
      figure(median(startMs(samples))),
      `${figure(Math.min(...startMs(samples)))}–${figure(Math.max(...startMs(samples)))}`,
      figure(median(samples.map((sample) => sample.readyMs))),
      figure(median(idleMb(samples))),
    ]),
  );
}

async function startOnce(bench: Bench, dataDir: string): Promise<Sample> {
  const server = await bench.start({ ...bunkhouse(dataDir), isPinned: false });
  const livesAt = performance.now();
  for (;;) {
    const answer = await fetch(`${server.origin}/health/ready`);
    await answer.arrayBuffer();
    if (answer.ok) break;
    if (performance.now() - livesAt > MAX_READY_MS) throw new Error(`/health/ready answers ${answer.status}`);
    await Bun.sleep(READY_LOOK_MS);
  }
  const readyMs = server.startMs + performance.now() - livesAt;
  await Bun.sleep(SETTLE_MS);
  const idleMb = megabytes(residentBytes(server.pid));
  await server.stop();
  return { startMs: server.startMs, readyMs, idleMb };
}
