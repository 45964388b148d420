import { parseArgs } from 'node:util';

/** How one run of the benchmarks was asked for. */
export interface Options {
  readonly area: string | undefined;
  /** Rounds that a median is taken of. */
  readonly runs: number;
  /** Length of one load, in seconds. */
  readonly seconds: number;
  /** Bytes of the large upload and download. */
  readonly transferBytes: number;
  /** The one measure to take; undefined takes all of the area. */
  readonly only: string | undefined;
  /** Whether the figures may be written down: only a whole area at full length counts. */
  readonly isRecorded: boolean;
}

export const USAGE = `bun run bench <area> [--runs 5] [--only measure] [--quick]

  --runs N    rounds; every figure is the median of them (at least 5 are needed to be written down)
  --only NAME one measure of the area; prints, writes nothing
  --quick     one short round of everything with small transfers; prints, writes nothing`;

const MIN_RECORDED_RUNS = 5;
const MAX_RUNS = 50;

/** Reads the command line. Throws an Error with one clear line when it makes no sense. */
export function readOptions(argv: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      runs: { type: 'string' },
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
    },
  });
  if (positionals.length > 1) throw new Error('one area at a time');
  const isQuick = values.quick;
  const runs = Number(values.runs ?? (isQuick ? 1 : MIN_RECORDED_RUNS));
  if (!Number.isInteger(runs) || runs < 1 || runs > MAX_RUNS)
    throw new Error(`--runs takes a number from 1 to ${MAX_RUNS}`);
  return {
    area: positionals[0],
    runs,
    seconds: isQuick ? 1 : 3,
    transferBytes: isQuick ? 256 * 2 ** 20 : 2 * 2 ** 30,
    only: values.only,
    isRecorded: !isQuick && values.only === undefined && runs >= MIN_RECORDED_RUNS,
  };
}
