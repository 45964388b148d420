import { statfs } from 'node:fs/promises';
import type { Bench } from '../harness/area.ts';
import { cpuSeconds, peakResidentBytes, resetPeak } from '../harness/proc.ts';
import { figure, megabytes } from '../harness/report.ts';
import { inRounds, median, medianRatio } from '../harness/rounds.ts';
import { flushDisk } from '../harness/tools.ts';
import { runTransfer, transferDigest } from '../harness/transfer.ts';
import { oursByPut, oursByTus, raw, tusOnNode, type Way } from './ways.ts';

/** So large that a round is enough to even out; more rounds would take an hour. */
const MAX_ROUNDS = 3;
const DISK_FLOOR = 0.7;
const TUS_FLOOR = 1.3;
const MAX_GROWTH_MB = 80;
/** Room for the file at hand and for what was deleted and not yet given back. */
const COPIES = 3;

interface Sample {
  readonly ms: number;
  readonly peakBytes: number;
  readonly cpuSeconds: number;
}

/** One very large file: throughput, and what it takes of memory. @returns the peers' versions. */
export async function measureLarge(bench: Bench): Promise<string[]> {
  const bytes = 2 * bench.options.transferBytes;
  const runs = Math.min(bench.options.runs, MAX_ROUNDS);
  const { bavail, bsize } = await statfs(bench.workDir);
  if (bavail * bsize < COPIES * bytes) throw new Error(`${COPIES * megabytes(bytes)} MB of free disk are needed`);
  const size = `${figure(bytes / 2 ** 30)} GiB`;
  bench.say(`${size} by tus and PUT`);

  const node = await tusOnNode(bench);
  const [tus, put, floor] = [await oursByTus(bench), await oursByPut(bench), await raw(bench, 'plain')];
  const [warm, sealed] = [await raw(bench, 'warm'), await raw(bench, 'sealed')];
  const ways = [tus, put, floor, warm, sealed, node];
  const digest = transferDigest(bytes);
  const samples = await inRounds(ways, runs, (way, round) => send(way, round, bytes, digest));
  for (const { server } of ways) await server.stop();

  const of = (way: Way, key: keyof Sample) => (samples.get(way) ?? []).map((sample) => sample[key]);
  const growth = (way: Way) => megabytes(Math.max(...of(way, 'peakBytes')) - way.idleBytes);
  const against = (way: Way, peer: Way, atLeast?: number) =>
    bench.report.find({
      what: `${size}: ${way.name} (hashed, fsynced) against ${peer.name}`,
      value: medianRatio(of(peer, 'ms'), of(way, 'ms')),
      unit: 'ratio',
      aside: `by CPU time ${medianRatio(of(peer, 'cpuSeconds'), of(way, 'cpuSeconds')).toFixed(2)} ×`,
      ...(atLeast === undefined ? {} : { atLeast }),
    });
  against(tus, floor, DISK_FLOOR);
  against(put, floor, DISK_FLOOR);
  // Who hashes and flushes does more than the floor does; this is what the same work costs others.
  against(put, warm);
  against(put, sealed);
  against(tus, node, TUS_FLOOR);
  for (const way of [tus, put]) {
    bench.report.find({
      what: `memory above idle, ${size}, ${way.name}`,
      value: growth(way),
      unit: 'MB',
      atMost: MAX_GROWTH_MB,
    });
  }
  bench.report.table(
    `${size} in one request`,
    ['way', 'MB/s', 'least–most', 'CPU s', 'idle MB', 'most MB above idle'],
    ways.map((way) => {
      const rates = of(way, 'ms').map((ms) => megabytes(bytes) / (ms / 1000));
      return [
        way.name,
        figure(median(rates)),
        `${figure(Math.min(...rates))}–${figure(Math.max(...rates))}`,
        figure(median(of(way, 'cpuSeconds'))),
        figure(megabytes(way.idleBytes)),
        figure(growth(way)),
      ];
    }),
  );
  return node.versions;
}

async function send(way: Way, round: number, bytes: number, digest: string): Promise<Sample> {
  const transfer = await way.prepare(round, bytes);
  await flushDisk();
  resetPeak(way.server.pid);
  const before = cpuSeconds(way.server.pid);
  const { ms } = await runTransfer(transfer);
  const sample = { ms, peakBytes: peakResidentBytes(way.server.pid), cpuSeconds: cpuSeconds(way.server.pid) - before };
  await way.finish(transfer, digest);
  return sample;
}
