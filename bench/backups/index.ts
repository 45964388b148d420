import { mkdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Area, Bench } from '../harness/area.ts';
import { figure, megabytes } from '../harness/report.ts';
import { inRounds, median, medianRatio } from '../harness/rounds.ts';
import { needTools } from '../harness/tools.ts';
import { type Dataset, makeDataset } from './dataset.ts';
import { measureLive } from './live.ts';
import { type BackupProgram, type BackupRound, ours, resticProgram, type Taken } from './programs.ts';

/** A round takes minutes, and so much is read in it that rounds differ little. */
const MAX_ROUNDS = 3;
/** What `--quick` makes smaller. */
const FULL_TRANSFER_BYTES = 2 * 2 ** 30;
/** The data, two repositories, and what a restore writes. */
const COPIES = 4;

/** Backups of a whole system, and what its clients notice of them. */
export const backups: Area = {
  name: 'backups',
  summary:
    'Backup and restore of a database and many files against restic, and a server that goes on writing meanwhile.',
  measures: ['programs', 'live'],
  async run(bench) {
    await needTools({ restic: 'restic' });
    const size = sizeOf(bench);
    const { bavail, bsize } = await statfs(bench.workDir);
    const needed = COPIES * (size.databaseBytes + size.fileBytes);
    if (bavail * bsize < needed) throw new Error(`${figure(megabytes(needed))} MB of free disk are needed`);
    bench.say('making the data');
    const dataDir = join(bench.workDir, 'data');
    mkdirSync(dataDir);
    const dataset = await makeDataset(dataDir, size);
    const restic = await resticProgram(bench);
    if (bench.wants('programs')) await measurePrograms(bench, dataset, [ours(bench), restic]);
    if (bench.wants('live')) await measureLive(bench, dataset);
    return [restic.version];
  },
};

function sizeOf({ options }: Bench) {
  // An eighth for trying it out.
  const part = options.transferBytes / FULL_TRANSFER_BYTES;
  return { databaseBytes: part * 2 * 2 ** 30, files: part * 20_000, fileBytes: part * 5 * 2 ** 30 };
}

async function measurePrograms(bench: Bench, dataset: Dataset, programs: readonly BackupProgram[]): Promise<void> {
  const runs = Math.min(bench.options.runs, MAX_ROUNDS);
  const samples = await inRounds(programs, runs, async (program, round) => {
    bench.say(`round ${round + 1}: ${program.name}`);
    return program.takeAndRestore(dataset, round);
  });
  const of = (program: BackupProgram, key: keyof BackupRound) =>
    (samples.get(program) ?? []).map((sample) => sample[key]);
  const [own, restic] = programs as [BackupProgram, BackupProgram];
  const seconds = (taken: readonly Taken[]) => taken.map((each) => each.seconds);
  const compareTo = (what: string, key: keyof BackupRound, atLeast?: number) =>
    bench.report.find({
      what: `${what} against restic, MB/s`,
      value: medianRatio(seconds(of(restic, key)), seconds(of(own, key))),
      unit: 'ratio',
      aside: `by CPU time ${medianRatio(
        of(restic, key).map(({ cpuSeconds }) => cpuSeconds),
        of(own, key).map(({ cpuSeconds }) => cpuSeconds),
      ).toFixed(2)} ×`,
      ...(atLeast === undefined ? {} : { atLeast }),
    });
  compareTo('full backup (here with all of it read back and compared)', 'full', 1);
  compareTo('full backup, read back and compared on both sides (restic: check --read-data)', 'proven', 1);
  compareTo('restore', 'restore', 1);
  compareTo('second backup, no file changed', 'again');
  const size = `${figure(dataset.bytes / 2 ** 30)} GiB, of it ${dataset.files} files`;
  bench.report.table(
    size,
    ['program', 'what', 'MB/s', 'seconds', 'CPU s', 'peak MB'],
    programs.flatMap((program) =>
      (['full', 'proven', 'again', 'restore'] as const).map((key) => {
        const taken = of(program, key);
        const middle = median(seconds(taken));
        return [
          program.name,
          key,
          figure(megabytes(dataset.bytes) / middle),
          figure(middle),
          figure(median(taken.map(({ cpuSeconds }) => cpuSeconds))),
          figure(megabytes(Math.max(...taken.map(({ peakBytes }) => peakBytes)))),
        ];
      }),
    ),
  );
}
