import type { Area } from '../harness/area.ts';
import { measureData } from './data.ts';

/** What the cache costs where it hits. */
export const cache: Area = {
  name: 'cache',
  summary: 'Values of functions, in the process that asks for them.',
  measures: ['data'],
  async run(bench) {
    if (bench.wants('data')) await measureData(bench);
    return [];
  },
};
