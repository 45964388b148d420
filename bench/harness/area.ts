import type { Options } from './options.ts';
import type { Report } from './report.ts';
import type { RunningServer, ServerSpec } from './server.ts';

/** What an area gets to work with. */
export interface Bench {
  readonly options: Options;
  /** Empty at the start, removed at the end; every server keeps its data below it. */
  readonly workDir: string;
  readonly report: Report;
  /** Whether this measure of the area was asked for. */
  wants(measure: string): boolean;
  /** Starts a server that is stopped at the end of the area at the latest. */
  start(spec: ServerSpec): Promise<RunningServer>;
  /** Tells the one who waits. */
  say(line: string): void;
}

/** A family of measures with its peers: one section of the results. */
export interface Area {
  readonly name: string;
  readonly summary: string;
  /** Names that `--only` takes. */
  readonly measures: readonly string[];
  /** Takes the measures that are wanted; gives name and version of every peer that took part. */
  run(bench: Bench): Promise<string[]>;
}
