/**
 * A few processes of our own that do what must not happen in the server's: work that is long, that may eat memory, or whose native
 * code may die. One child does one job at a time, so that ending a job ends nobody else's.
 */
export interface ChildPool<Job, Result> {
  /**
   * Does one job: at once, or when a child is free. Messages are copied by structured clone; bytes in them must not change while
   * the job lasts.
   * @throws `server/busy` when too many jobs wait already; the signal's reason when it fires, in the queue or during the job.
   */
  run(job: Job, options: ChildJobOptions): Promise<ChildOutcome<Result>>;
  /** How many jobs run and how many wait right now. */
  readonly load: { readonly running: number; readonly waiting: number };
  /** Ends all children. Whoever waits for a job, and whoever comes later, gets `server/draining`. Idempotent. */
  stop(): Promise<void>;
}

export interface ChildJobOptions {
  /** How long the child may work on it, waiting not counted. Then the child is killed. */
  readonly deadlineMs: number;
  /** Ends the job: out of the queue, or by killing the child. */
  readonly signal?: AbortSignal | undefined;
}

/** How a job ended. Whatever but `done` cost a child its life, and the next job gets a new one. */
export type ChildOutcome<Result> =
  | { readonly status: 'done'; readonly result: Result }
  /** The child did not answer in time. */
  | { readonly status: 'late' }
  /** The child took more memory than it may. */
  | { readonly status: 'too-much-memory' }
  /** The child died of the job. */
  | { readonly status: 'crashed' };

/** Bytes of a message that come another way than the rest: the property they belong to, and how many they are. */
export type Block = readonly [name: string, bytes: number];

/** To a child: one job. It gets the next when it has answered this one. */
export interface JobMessage<Job> {
  readonly job: Job;
  /** What of the job lies in the file that both have open; null when there is no such file. */
  readonly blocks: readonly Block[] | null;
}

/** From a child: that it can begin, what a job gave, or that the job threw, which is a bug. */
export type JobAnswer<Result> =
  | { readonly ready: true }
  | { readonly result: Result; readonly blocks: readonly Block[] }
  | { readonly error: { readonly message: string; readonly stack: string | undefined } };
