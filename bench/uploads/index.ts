import type { Area } from '../harness/area.ts';
import { measureCreate } from './create.ts';
import { measureLarge } from './large.ts';
import { measureParallel } from './parallel.ts';
import { measureS3 } from './s3.ts';

/** Files of every size, by every way in. */
export const uploads: Area = {
  name: 'uploads',
  summary: 'Large files by tus and PUT against raw `Bun.write` and @tus/server on Node; many at once; small ones; S3.',
  measures: ['large', 'parallel', 'create', 's3'],
  async run(bench) {
    const peers: string[] = [];
    if (bench.wants('large')) peers.push(...(await measureLarge(bench)));
    if (bench.wants('parallel')) await measureParallel(bench);
    if (bench.wants('create')) peers.push(...(await measureCreate(bench)));
    if (bench.wants('s3')) await measureS3(bench);
    return peers;
  },
};
