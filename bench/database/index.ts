import type { Area } from '../harness/area.ts';
import { measureMetadata, measureRows } from './http.ts';
import { compareInProcess } from './measure.ts';
import { measureReplica } from './replica.ts';

const UNFLUSHED = 'theirs acknowledges before the row is on the disk, ours after';

/** Rows: in the process, over HTTP, and from a replica. */
export const database: Area = {
  name: 'database',
  summary:
    'Rows through drizzle against `@libsql/client` and `bun:sqlite`, over HTTP against PocketBase, and from a replica.',
  measures: ['read', 'insert', 'metadata', 'rows', 'replica'],
  async run(bench) {
    const ours = { name: 'bunkhouse', contender: 'bunkhouse' } as const;
    const engine = { name: 'bunkhouse’s engine alone (not flushed)', contender: 'engine' } as const;
    const libsql = { name: '@libsql/client', contender: 'libsql' } as const;
    if (bench.wants('read')) {
      await compareInProcess(bench, {
        title: 'Point read by a prepared query',
        task: 'read',
        ours,
        peers: [
          { ...libsql, atLeast: 2 },
          { name: 'drizzle on bun:sqlite', contender: 'drizzle on bun:sqlite', atLeast: 0.5 },
          { name: 'bun:sqlite without drizzle', contender: 'bun:sqlite', aside: 'a kept statement, rows unmapped' },
        ],
      });
    }
    if (bench.wants('insert')) {
      for (const atOnce of [1, 32]) {
        await compareInProcess(bench, {
          title: atOnce === 1 ? 'Single inserts, one by one,' : `Single inserts, ${atOnce} at once,`,
          task: 'insert',
          atOnce,
          ours: { ...ours, name: 'bunkhouse (flushed)' },
          peers: [
            { name: '@libsql/client as it comes', contender: 'libsql, as it comes', atLeast: 1.3 },
            { ...libsql, name: '@libsql/client (WAL, not flushed)', aside: UNFLUSHED },
            { name: '@libsql/client (synchronous = FULL)', contender: 'libsql, flushing', aside: 'the same promise' },
            { ...engine, aside: 'what the promise costs' },
          ],
        });
      }
    }
    if (bench.wants('metadata')) await measureMetadata(bench);
    const peers = bench.wants('rows') ? await measureRows(bench) : [];
    if (bench.wants('replica')) await measureReplica(bench);
    return [...(await versions()), ...peers];
  },
};

async function versions(): Promise<string[]> {
  const manifest = new URL('../../package.json', import.meta.url);
  const { dependencies } = (await Bun.file(manifest).json()) as { dependencies: Record<string, string> };
  return ['@libsql/client', 'drizzle-orm'].map((name) => `${name} ${dependencies[name]}`);
}
