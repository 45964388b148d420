import type { Bench } from '../harness/area.ts';
import { figure } from '../harness/report.ts';
import { inRounds, median, medianRatio } from '../harness/rounds.ts';
import { type Contender, type Measured, measure, openOurs, openRaw, openSocketIo } from './contenders.ts';

const SUBSCRIBERS = 10_000;
/** Enough messages at once to keep a server busy, too few to be a queue. */
const WINDOW = 16;
/** Below this share of its core a server waited for the client. */
const BUSY = 0.9;

/** One topic with very many subscribers, published to as fast as it is delivered. Gives the peers' versions. */
export async function measureFanOut(bench: Bench): Promise<string[]> {
  bench.say(`fan-out to ${SUBSCRIBERS} subscribers`);
  const ours = await openOurs(bench, 'bunkhouse', SUBSCRIBERS);
  const raw = await openRaw(bench, SUBSCRIBERS);
  const socketIo = await openSocketIo(bench, SUBSCRIBERS);
  const contenders = [ours, raw, socketIo];
  const load = (contender: Contender) =>
    measure(contender, { seconds: bench.options.seconds, window: WINDOW, intervalMs: 0 });
  for (const contender of contenders) await load(contender);
  const samples = await inRounds<Contender, Measured>(contenders, bench.options.runs, load);
  const of = (contender: Contender, key: keyof Measured) => (samples.get(contender) ?? []).map((each) => each[key]);
  const rate = (peer: Contender) => medianRatio(of(ours, 'deliveriesPerSecond'), of(peer, 'deliveriesPerSecond'));
  const sum = (contender: Contender, key: keyof Measured) =>
    of(contender, key).reduce((total, each) => total + each, 0);
  const delivered = (contender: Contender) => sum(contender, 'deliveries') / (sum(contender, 'messages') * SUBSCRIBERS);
  const idler = median(of(ours, 'busy')) < BUSY;

  bench.report.find({
    what: `fan-out to ${SUBSCRIBERS}: CPU of a delivery against raw \`server.publish\``,
    value: medianRatio(of(ours, 'cpuMicros'), of(raw, 'cpuMicros')),
    unit: 'ratio',
    atMost: 1.2,
    aside: `with history; deliveries/s ${rate(raw).toFixed(2)} ×`,
  });
  const thrift = medianRatio(of(socketIo, 'cpuMicros'), of(ours, 'cpuMicros'));
  bench.report.find({
    what: `fan-out to ${SUBSCRIBERS}: deliveries${idler ? ' of a second of CPU' : '/s'} against Socket.IO`,
    value: idler ? thrift : rate(socketIo),
    unit: 'ratio',
    atLeast: 4,
    aside: idler
      ? `the client is the limit; deliveries/s ${rate(socketIo).toFixed(2)} ×`
      : `by CPU time ${thrift.toFixed(2)} ×`,
  });
  bench.report.find({
    what: `fan-out to ${SUBSCRIBERS}: what was delivered of what was published`,
    value: delivered(ours),
    unit: 'ratio',
    atLeast: 1,
  });
  bench.report.table(
    `Fan-out to ${SUBSCRIBERS} subscribers`,
    ['server', 'deliveries/s', 'least–most', 'CPU µs/delivery', 'core in use', 'delivered'],
    contenders.map((contender) => {
      const rates = of(contender, 'deliveriesPerSecond');
      return [
        contender.name,
        figure(median(rates)),
        `${figure(Math.min(...rates))}–${figure(Math.max(...rates))}`,
        figure(median(of(contender, 'cpuMicros'))),
        `${Math.round(median(of(contender, 'busy')) * 100)} %`,
        `${figure(delivered(contender) * 100)} %`,
      ];
    }),
  );
  for (const contender of contenders) await contender.close();
  return socketIo.versions;
}
