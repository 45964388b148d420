import { join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import { figure } from '../harness/report.ts';
import { inRounds, median } from '../harness/rounds.ts';
import { pinned, run, SERVER_CORE } from '../harness/tools.ts';

/** What a process is told to do, and for how long. */
export interface Order {
  readonly task: TaskName;
  readonly seconds: number;
}

/** Microseconds a call. */
export interface Outcome {
  readonly mean: number;
  readonly median: number;
  readonly p99: number;
}

export type TaskName = 'floor' | 'hit' | 'spread' | 'dated' | 'purged' | 'fill';

interface Task {
  readonly name: TaskName;
  readonly what: string;
  readonly atMost?: number;
}

const TASKS: readonly Task[] = [
  { name: 'floor', what: 'a bare `Map` behind an async function' },
  { name: 'hit', what: 'a hit, one key', atMost: 2 },
  { name: 'spread', what: 'a hit, 10,000 keys in random order', atMost: 2 },
  { name: 'dated', what: 'a hit, a value with a date in it, made anew for each caller' },
  { name: 'purged', what: 'a hit, while a tag that concerns nobody is purged before every hundredth' },
  { name: 'fill', what: 'a miss with a load that costs nothing' },
];
const PROCESS = join(import.meta.dir, 'data-process.ts');
/** Starting and filling. */
const SLACK_MS = 30_000;

/** How long a value of the data cache takes in the process that asks: every sample is a process of its own. */
export async function measureData(bench: Bench): Promise<void> {
  bench.say('values in memory');
  const { runs, seconds } = bench.options;
  const samples = await inRounds(TASKS, runs, async ({ name }) => {
    const order: Order = { task: name, seconds };
    const said = await run(pinned(SERVER_CORE, ['bun', PROCESS, JSON.stringify(order)]), seconds * 3_000 + SLACK_MS);
    return JSON.parse(said) as Outcome;
  });
  const of = (task: Task, key: keyof Outcome) => median((samples.get(task) ?? []).map((sample) => sample[key]));
  for (const task of TASKS) {
    if (task.atMost === undefined) continue;
    bench.report.find({ what: `${task.what}, mean`, value: of(task, 'mean'), unit: 'µs', atMost: task.atMost });
  }
  bench.report.table(
    'Values in memory',
    ['call', 'mean µs', 'median µs', 'p99 µs'],
    TASKS.map((task) => [task.what, ...(['mean', 'median', 'p99'] as const).map((key) => figure(of(task, key)))]),
  );
}
