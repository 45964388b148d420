/** What a long run gets to work with. */
export interface SoakRun {
  /** How long the load and the trouble last, in seconds. */
  readonly seconds: number;
  /** How big it is, in whatever the soak counts. */
  readonly size: number;
  /** Aborted when the run was told to stop: it then ends what it has started. */
  readonly signal: AbortSignal;
  /** Writes one line to the log: what was done, and whatever was found. */
  log(event: string, details?: Readonly<Record<string, unknown>>): void;
  /** Notes that a promise was broken; the run goes on and fails in the end. */
  fail(promise: string, details?: Readonly<Record<string, unknown>>): void;
}

/** A long run that breaks things on purpose and checks what was promised. */
export interface Soak {
  readonly name: string;
  readonly summary: string;
  readonly seconds: number;
  readonly size: number;
  /** What `size` counts. */
  readonly unit: string;
  /** Resolves to figures of what was done; throws when it could not be done at all. */
  run(run: SoakRun): Promise<Readonly<Record<string, number>>>;
}
