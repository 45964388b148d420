import { join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { peakResidentBytes, resetPeak } from '../harness/proc.ts';
import { figure, megabytes } from '../harness/report.ts';
import { median } from '../harness/rounds.ts';
import { CLIENT_CORE, flushDisk, pinned, run } from '../harness/tools.ts';
import { startSignedIn } from './ways.ts';

const COUNT = 200;
const BYTES = 5 * 2 ** 20;
const PROBE_EVERY_MS = 10;
const MAX_P95_MS = 50;
const TIMEOUT_MS = 120_000;
const CLIENT = join(import.meta.dir, 'parallel-client.ts');

interface Sample {
  readonly ms: number;
  readonly p95Ms: number;
  readonly peakBytes: number;
}

/** 200 uploads of 5 MB at once, half by tus and half by PUT, while somebody asks whether the server lives. */
export async function measureParallel(bench: Bench): Promise<void> {
  bench.say(`${COUNT} uploads at once`);
  const { server, headers, idleBytes } = await startSignedIn(bench, 'parallel');
  const samples: Sample[] = [];
  for (let round = 0; round < bench.options.runs; round++) {
    await flushDisk();
    resetPeak(server.pid);
    const order = JSON.stringify({ origin: server.origin, headers, count: COUNT, bytes: BYTES });
    let isOver = false;
    const probing = probe(`${server.origin}/health/live`, () => isOver);
    const answer = await run(pinned(CLIENT_CORE, ['bun', CLIENT, order]), TIMEOUT_MS);
    isOver = true;
    const { failures, ms } = JSON.parse(answer) as { failures: number; ms: number };
    if (failures > 0) throw new Error(`${failures} of ${COUNT} uploads at once failed`);
    samples.push({ ms, p95Ms: percentile95(await probing), peakBytes: peakResidentBytes(server.pid) });
  }
  await server.stop();
  bench.report.find({
    what: `p95 of /health/live during ${COUNT} uploads of 5 MB at once, none failing`,
    value: median(samples.map(({ p95Ms }) => p95Ms)),
    unit: 'ms',
    atMost: MAX_P95_MS,
  });
  bench.report.table(
    `${COUNT} uploads of 5 MB at once, half by tus`,
    ['MB/s', 'p95 of /health/live, ms', 'most MB above idle'],
    [
      [
        figure(median(samples.map(({ ms }) => megabytes(COUNT * BYTES) / (ms / 1000)))),
        figure(median(samples.map(({ p95Ms }) => p95Ms))),
        figure(megabytes(Math.max(...samples.map(({ peakBytes }) => peakBytes)) - idleBytes)),
      ],
    ],
  );
}

/** Asks again and again, each time on the beat, and notes how long each answer took. */
async function probe(url: string, isOver: () => boolean): Promise<number[]> {
  const times: number[] = [];
  while (!isOver()) {
    const startedAt = performance.now();
    const response = await fetch(url);
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`/health/live answered ${response.status}`);
    const took = performance.now() - startedAt;
    times.push(took);
    await Bun.sleep(Math.max(0, PROBE_EVERY_MS - took));
  }
  return times;
}

function percentile95(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.95)] ?? Number.NaN;
}
