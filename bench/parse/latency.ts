import type { Bench } from '../harness/area.ts';
import { signUp, startBunkhouse } from '../harness/bunkhouse.ts';
import { figure } from '../harness/report.ts';
import { median } from '../harness/rounds.ts';
import { largePage } from './pages.ts';

const CLIENTS = 8;
const PAUSE_MS = 5;

/** How long a cheap request waits while eight clients have large pages parsed without a pause. */
export async function measureLatency(bench: Bench): Promise<void> {
  bench.say('health beside parsing');
  const server = await startBunkhouse(bench, 'parse');
  const headers = await signUp(server);
  const page = largePage();
  const rounds: { readonly p99: number; readonly parsed: number }[] = [];
  for (let round = 0; round < bench.options.runs; round++) {
    const until = performance.now() + bench.options.seconds * 1000;
    let parsed = 0;
    const client = async (number: number): Promise<void> => {
      while (performance.now() < until) {
        // Every page is another one, so that none comes from the cache.
        const body = `${page}<!-- ${round} ${number} ${parsed++} -->`;
        const answer = await fetch(`${server.origin}/api/parse/html?view=meta`, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'text/html' },
          body,
        });
        if (answer.status !== 200) throw new Error(`parsing answered ${answer.status}`);
        await answer.arrayBuffer();
      }
    };
    const waits: number[] = [];
    const watch = async (): Promise<void> => {
      while (performance.now() < until) {
        const askedAt = performance.now();
        await (await fetch(`${server.origin}/health/live`)).text();
        waits.push(performance.now() - askedAt);
        await Bun.sleep(PAUSE_MS);
      }
    };
    await Promise.all([watch(), ...Array.from({ length: CLIENTS }, (_, number) => client(number))]);
    waits.sort((a, b) => a - b);
    rounds.push({ p99: waits[Math.floor(waits.length * 0.99)] as number, parsed });
  }
  bench.report.find({
    what: 'p99 of /health/live while 8 clients parse 2.5 MB pages',
    value: median(rounds.map(({ p99 }) => p99)),
    unit: 'ms',
    atMost: 25,
    aside: 'clients and the one who asks share a process',
  });
  bench.report.table(
    'Health beside parsing',
    ['round', 'p99 ms', 'pages parsed'],
    rounds.map(({ p99, parsed }, round) => [String(round + 1), figure(p99), String(parsed)]),
  );
}
