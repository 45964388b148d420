import type { Area } from '../harness/area.ts';
import { measureRequests, REQUEST_MEASURES } from './requests.ts';
import { measureStart } from './start.ts';
import { measureTransfer } from './transfer.ts';

/** The main job on embedded defaults: sign a person in, take their file, give it back. */
export const core: Area = {
  name: 'core',
  summary: 'The pipeline, sign-in and files against a raw `Bun.serve` and against Express on Node.',
  measures: [...REQUEST_MEASURES, 'transfer', 'start'],
  async run(bench) {
    const peers = REQUEST_MEASURES.some(bench.wants) ? await measureRequests(bench) : [];
    if (bench.wants('transfer')) await measureTransfer(bench);
    if (bench.wants('start')) await measureStart(bench);
    return peers;
  },
};
