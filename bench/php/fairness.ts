import type { Bench } from '../harness/area.ts';
import { figure } from '../harness/report.ts';
import { inRounds, median } from '../harness/rounds.ts';
import type { RunningServer } from '../harness/server.ts';
import { CHILDREN } from './php-fpm.ts';

const CLIENTS = 32;
/** Whoever gets no more than this in a round was starved. */
const STARVED = 1;

interface Sample {
  readonly worstMs: number;
  readonly starved: number;
  readonly answers: number;
}

/** Many clients on few children, each with one connection and one request at a time: who waits, and how long. */
export async function measureFairness(
  bench: Bench,
  ours: RunningServer,
  peers: readonly RunningServer[],
): Promise<void> {
  const { runs, seconds } = bench.options;
  bench.say(`${CLIENTS} clients on ${CHILDREN} children`);
  const servers = [ours, ...peers];
  const samples = await inRounds(servers, runs, (server) => askTogether(server, Math.max(2, seconds)));
  const of = (server: RunningServer, key: keyof Sample) => (samples.get(server) ?? []).map((sample) => sample[key]);
  const what = `${CLIENTS} clients on ${CHILDREN} children`;
  bench.report.find({ what: `${what}: longest wait`, value: median(of(ours, 'worstMs')), unit: 'ms', atMost: 1_000 });
  bench.report.find({
    what: `${what}: share of clients that got their turn`,
    value: 1 - median(of(ours, 'starved')) / CLIENTS,
    unit: 'ratio',
    atLeast: 1,
  });
  bench.report.table(
    `${what}, ${Math.max(2, seconds)} s`,
    ['server', 'longest wait ms', `clients with ≤ ${STARVED} answers`, 'answers'],
    servers.map((server) => [
      server.name,
      figure(median(of(server, 'worstMs'))),
      String(median(of(server, 'starved'))),
      figure(median(of(server, 'answers'))),
    ]),
  );
}

async function askTogether(server: RunningServer, seconds: number): Promise<Sample> {
  const end = performance.now() + seconds * 1000;
  const over = AbortSignal.timeout(seconds * 1000);
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      let answers = 0;
      let worstMs = 0;
      while (performance.now() < end) {
        const sentAt = performance.now();
        try {
          const response = await fetch(`${server.origin}/php/hello.php`, { signal: over });
          await response.arrayBuffer();
          if (response.status !== 200) throw new Error(`${server.name} answered ${response.status}`);
          answers++;
        } catch (error) {
          // Still waiting when time was up: so long it has waited at least.
          if (!over.aborted) throw error;
        }
        worstMs = Math.max(worstMs, performance.now() - sentAt);
      }
      return { answers, worstMs };
    }),
  );
  return {
    worstMs: Math.max(...clients.map(({ worstMs }) => worstMs)),
    starved: clients.filter(({ answers }) => answers <= STARVED).length,
    answers: clients.reduce((sum, { answers }) => sum + answers, 0),
  };
}
