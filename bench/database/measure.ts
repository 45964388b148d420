import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { figure } from '../harness/report.ts';
import { inRounds, median, medianRatio } from '../harness/rounds.ts';
import { flushDisk, pinned, run, SERVER_CORE } from '../harness/tools.ts';
import type { ContenderName } from './contenders.ts';

/** What a contender's process is told. */
export interface Order {
  readonly contender: ContenderName;
  readonly directory: string;
  readonly url?: string | undefined;
  readonly task: 'read' | 'insert';
  /** Inserts that wait together. */
  readonly atOnce: number;
  readonly seconds: number;
}

/** What it came to. */
export interface Outcome {
  readonly perSecond: number;
  /** Of one call; for inserts, the mean. */
  readonly medianMicros: number;
}

/** One contender of a comparison. */
export interface Entrant {
  readonly name: string;
  readonly contender: ContenderName;
  readonly url?: string | undefined;
  /** Least ratio of our calls a second to its; without it the ratio is only reported. */
  readonly atLeast?: number;
  readonly aside?: string;
}

export interface InProcess {
  readonly title: string;
  readonly task: Order['task'];
  readonly atOnce?: number;
  readonly ours: Entrant;
  readonly peers: readonly Entrant[];
}

const PROCESS = join(import.meta.dir, 'contender-process.ts');
/** Opening, seeding and closing. */
const SLACK_MS = 60_000;
let runs = 0;

/** Compares what runs in the caller's own process: every sample is a new process on a new file, in interleaved rounds. */
export async function compareInProcess(bench: Bench, { title, task, atOnce = 1, ours, peers }: InProcess) {
  bench.say(title);
  const entrants = [ours, ...peers];
  const samples = await inRounds(entrants, bench.options.runs, async ({ contender, url }) => {
    const directory = join(bench.workDir, `in-process-${runs++}`);
    mkdirSync(directory);
    if (task === 'insert') await flushDisk();
    const { seconds } = bench.options;
    const order: Order = { contender, directory, url, task, atOnce, seconds };
    const command = pinned(SERVER_CORE, ['bun', PROCESS, JSON.stringify(order)]);
    const said = await run(command, seconds * 2_000 + SLACK_MS);
    rmSync(directory, { recursive: true });
    return JSON.parse(said) as Outcome;
  });
  const of = (entrant: Entrant, key: keyof Outcome) => (samples.get(entrant) ?? []).map((sample) => sample[key]);
  for (const peer of peers) {
    bench.report.find({
      what: `${title} against ${peer.name}`,
      value: medianRatio(of(ours, 'perSecond'), of(peer, 'perSecond')),
      unit: 'ratio',
      ...(peer.atLeast === undefined ? {} : { atLeast: peer.atLeast }),
      ...(peer.aside === undefined ? {} : { aside: peer.aside }),
    });
  }
  bench.report.table(
    title,
    ['contender', 'calls/s', 'least–most', task === 'read' ? 'median µs a call' : 'mean µs a call'],
    entrants.map((entrant) => {
      const rates = of(entrant, 'perSecond');
      return [
        entrant.name,
        figure(median(rates)),
        `${figure(Math.min(...rates))}–${figure(Math.max(...rates))}`,
        figure(median(of(entrant, 'medianMicros'))),
      ];
    }),
  );
}
