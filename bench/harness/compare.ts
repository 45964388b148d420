import type { Bench } from './area.ts';
import { figure } from './report.ts';
import { inRounds, median, medianRatio } from './rounds.ts';
import type { RunningServer } from './server.ts';
import { flushDisk } from './tools.ts';
import { type Load, loadServer, type Sample } from './wrk.ts';

/** One server of a comparison and the load it gets. */
export interface Contender {
  readonly name: string;
  readonly server: RunningServer;
  readonly load: Load;
}

/** One kind of request, put to us and to peers. */
export interface Comparison {
  readonly title: string;
  readonly ours: Contender;
  /** Each with the least ratio of our requests a second to theirs; without it the ratio is only reported. */
  readonly peers: readonly (Contender & {
    readonly atLeast?: number;
    /** The same for CPU time a request, theirs to ours. */
    readonly cpuAtLeast?: number;
  })[];
  /** Whether requests leave something for the disk to write, which the next contender should not pay for. */
  readonly isWriting?: boolean;
}

/** Below this share of its core a server waited: for the client, for the disk, or for a neighbour. */
const BUSY = 0.9;

/** Warms every contender up, loads them in rounds, and reports their ratios. */
export async function compare(bench: Bench, { title, ours, peers, isWriting }: Comparison): Promise<void> {
  const { runs, seconds } = bench.options;
  bench.say(title);
  const contenders = [ours, ...peers];
  for (const { server, load } of contenders) await loadServer(server, load, seconds);
  const samples = await inRounds(contenders, runs, async ({ server, load }) => {
    if (isWriting) await flushDisk();
    return loadServer(server, load, seconds);
  });
  const of = (contender: Contender, key: keyof Sample) => (samples.get(contender) ?? []).map((sample) => sample[key]);
  const ratio = (peer: Contender) => medianRatio(of(ours, 'requestsPerSecond'), of(peer, 'requestsPerSecond'));
  const thrift = (peer: Contender) => medianRatio(of(peer, 'cpuMicros'), of(ours, 'cpuMicros'));
  const busy = (contender: Contender) => median(of(contender, 'busy'));

  for (const peer of peers) {
    const idlers = [ours, peer].filter((contender) => busy(contender) < BUSY).map(({ name }) => name);
    bench.report.find({
      what: `${title} against ${peer.name}`,
      value: ratio(peer),
      unit: 'ratio',
      aside: `by CPU time ${thrift(peer).toFixed(2)} ×${idlers.length > 0 ? `; not busy: ${idlers.join(', ')}` : ''}`,
      ...(peer.atLeast === undefined ? {} : { atLeast: peer.atLeast }),
    });
    if (peer.cpuAtLeast !== undefined) {
      const what = `${title} against ${peer.name}, by CPU time of the front`;
      bench.report.find({ what, value: thrift(peer), unit: 'ratio', atLeast: peer.cpuAtLeast });
    }
  }
  bench.report.table(
    title,
    ['server', 'requests/s', 'least–most', 'CPU µs/request', 'core in use', 'p99 ms', 'cores used elsewhere'],
    contenders.map((contender) => {
      const rates = of(contender, 'requestsPerSecond');
      return [
        contender.name,
        figure(median(rates)),
        `${figure(Math.min(...rates))}–${figure(Math.max(...rates))}`,
        figure(median(of(contender, 'cpuMicros'))),
        `${Math.round(busy(contender) * 100)} %`,
        figure(median(of(contender, 'p99Ms'))),
        figure(median(of(contender, 'elsewhere'))),
      ];
    }),
  );
}
