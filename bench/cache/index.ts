import type { Area } from '../harness/area.ts';
import { measureAnswers } from './answers.ts';
import { measureData } from './data.ts';

/** What the cache costs where it hits. */
export const cache: Area = {
  name: 'cache',
  summary:
    'Values of functions, in the process that asks for them; stored answers and public files against nginx, Varnish and a raw `Bun.serve`.',
  measures: ['data', 'answers'],
  async run(bench) {
    if (bench.wants('data')) await measureData(bench);
    return bench.wants('answers') ? measureAnswers(bench) : [];
  },
};
