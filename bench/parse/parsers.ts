import { join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { figure } from '../harness/report.ts';
import { inRounds, median, medianRatio } from '../harness/rounds.ts';
import { run } from '../harness/tools.ts';

/** What a process is told to read, and how. */
export interface Order {
  readonly task: TaskName;
  readonly side: Side;
  readonly seconds: number;
  /** Where the sources are. */
  readonly modules: string;
}

export type TaskName = 'meta' | 'outline' | 'minify' | 'imports';
export type Side = 'ours' | 'peer';

const PROCESS = join(import.meta.dir, 'parsers-process.ts');
/** Starting and loading. */
const SLACK_MS = 120_000;

const TASKS: readonly {
  readonly name: TaskName;
  readonly what: string;
  readonly peer: string;
  readonly atMost: number;
}[] = [
  { name: 'meta', what: 'meta of a 2.5 MB page', peer: 'HTMLRewriter alone', atMost: 1.5 },
  { name: 'outline', what: 'outline of a 2.5 MB page', peer: 'jsdom', atMost: 0.5 },
  { name: 'minify', what: 'minify of bootstrap.css', peer: 'lightningcss in process', atMost: 1.25 },
  { name: 'imports', what: 'imports of typescript.js', peer: 'Bun.Transpiler', atMost: 1.2 },
];

/** Milliseconds a source: ours through the pool with everything around it but HTTP, theirs in their own process. */
export async function compareParsers(bench: Bench, modules: string): Promise<void> {
  const contenders = TASKS.flatMap(({ name }) => (['ours', 'peer'] as const).map((side) => ({ name, side })));
  const samples = await inRounds(contenders, bench.options.runs, async ({ name, side }) => {
    bench.say(`${name}, ${side}`);
    const order: Order = { task: name, side, seconds: bench.options.seconds, modules };
    const said = await run(['bun', PROCESS, JSON.stringify(order)], bench.options.seconds * 2_000 + SLACK_MS);
    return Number(said);
  });
  const of = (name: TaskName, side: Side) =>
    samples.get(contenders.find((each) => each.name === name && each.side === side) as (typeof contenders)[number]) ??
    [];
  for (const { name, what, peer, atMost } of TASKS) {
    bench.report.find({
      what: `${what}, time against ${peer}`,
      value: medianRatio(of(name, 'ours'), of(name, 'peer')),
      unit: 'ratio',
      atMost,
    });
  }
  bench.report.table(
    'One source',
    ['what', 'ours, median ms', 'peer', 'peer, median ms'],
    TASKS.map(({ name, what, peer }) => [
      what,
      figure(median(of(name, 'ours'))),
      peer,
      figure(median(of(name, 'peer'))),
    ]),
  );
}
