import type { Bench } from '../harness/area.ts';
import { residentBytes } from '../harness/proc.ts';
import { figure, megabytes } from '../harness/report.ts';
import { inRounds, median, medianRatio } from '../harness/rounds.ts';
import { type Contender, measure, openOurs, openPocketBase } from './contenders.ts';

/** As many as a default PocketBase and the file descriptors of a plain shell bear. */
const SUBSCRIBERS = 9_500;
const MESSAGES = 5;
const INTERVAL_MS = 300;

/** One message after the other, each when the one before has arrived: how long until all have it. Gives the peer's version. */
export async function measureLatency(bench: Bench): Promise<string[]> {
  bench.say(`latency of fan-out to ${SUBSCRIBERS} subscribers`);
  const ours = await openOurs(bench, 'bunkhouse', SUBSCRIBERS);
  const theirs = await openPocketBase(bench, SUBSCRIBERS);
  const contenders = [ours, theirs];
  const load = async (contender: Contender) => {
    const sample = await measure(contender, { messages: MESSAGES, seconds: 60, window: 1, intervalMs: INTERVAL_MS });
    const [server] = contender.servers;
    return { ...sample, residentMb: server ? megabytes(residentBytes(server.pid)) : 0 };
  };
  for (const contender of contenders) await load(contender);
  const samples = await inRounds(contenders, bench.options.runs, load);
  const of = (contender: Contender, key: 'p50Ms' | 'p95Ms' | 'p99Ms' | 'residentMb' | 'cpuMicros') =>
    (samples.get(contender) ?? []).map((sample) => sample[key]);

  bench.report.find({
    what: `p95 latency of fan-out to ${SUBSCRIBERS} against PocketBase`,
    value: medianRatio(of(ours, 'p95Ms'), of(theirs, 'p95Ms')),
    unit: 'ratio',
    atMost: 0.5,
  });
  bench.report.find({
    what: `memory with ${SUBSCRIBERS} subscribers against PocketBase`,
    value: medianRatio(of(ours, 'residentMb'), of(theirs, 'residentMb')),
    unit: 'ratio',
    atMost: 0.25,
  });
  bench.report.table(
    `Single messages to ${SUBSCRIBERS} subscribers`,
    ['server', 'p50 ms', 'p95 ms', 'p99 ms', 'CPU µs/delivery', 'resident MB'],
    contenders.map((contender) => [
      contender.name,
      ...(['p50Ms', 'p95Ms', 'p99Ms', 'cpuMicros', 'residentMb'] as const).map((key) =>
        figure(median(of(contender, key))),
      ),
    ]),
  );
  for (const contender of contenders) await contender.close();
  return theirs.versions;
}
