import { serverProblems } from '../kernel/problems.ts';

/** To the process: its order, once, and answers to what it asks. */
export type ToJobProcess<Order> = { readonly order: Order } | { readonly answer: boolean; readonly to: number };

/** From the process. A code is that of a problem; without one the failure is a bug. */
export type FromJobProcess<Progress, Result> =
  | { readonly ready: true }
  | { readonly progress: Progress }
  | { readonly ask: number }
  | { readonly result: Result }
  | { readonly failure: JobFailure };

/** How a job failed, as it crosses from one process to another. */
export interface JobFailure {
  readonly code: string | null;
  readonly detail: string;
  readonly retryAfterSeconds: number | undefined;
  /** For the log. */
  readonly stack: string | undefined;
}

export interface JobProcessOptions<Order, Progress> {
  /** File of the process's program; it calls `serveJob`. */
  readonly entry: string;
  /** Sent over the process's channel: neither its command line nor its environment shows it. */
  readonly order: Order;
  readonly onProgress: (progress: Progress) => void;
  /** Answers what the process asks before it does what cannot be undone. */
  readonly onAsk: () => Promise<boolean>;
  /** Kills the process. */
  readonly signal?: AbortSignal | undefined;
}

/** What the process may have of our environment. */
const ENVIRONMENT = ['PATH', 'HOME', 'TMPDIR', 'SQLITE_TMPDIR', 'TZ', 'LANG', 'AWS_PROFILE', 'AWS_CONFIG_FILE'];
/** What the engine takes for the size of the machine: it then collects the buffers of a stream before they are many. */
const HEAP_HINT_BYTES = 128 * 2 ** 20;
/** Runs before which everything else on the machine goes. */
const NICENESS = '10';

/**
 * One long job in a process of its own, with low priority for processor and disk. It ends with the job, by the signal, or when this
 * process is gone.
 * @returns the result, or how it failed.
 * @throws the signal's reason; `server/internal` when the process died.
 */
export async function runJobProcess<Order, Progress, Result>(
  options: JobProcessOptions<Order, Progress>,
): Promise<JobOutcome<Result>> {
  return start<Order, Progress, Result>(options, 'ignore').outcome;
}

/**
 * A job that gives bytes. The stream ends when the job has, and fails when it fails; nobody reading it any more ends the job.
 * @param toError the error of a stream whose job failed.
 */
export function streamJobProcess<Order, Progress>(
  options: JobProcessOptions<Order, Progress>,
  toError: (failure: JobFailure) => Error,
): ReadableStream<Uint8Array> {
  const given = new AbortController();
  const signal = AbortSignal.any([given.signal, ...(options.signal ? [options.signal] : [])]);
  let job: { readonly reader: ReadableStreamDefaultReader<Uint8Array>; readonly outcome: Promise<JobOutcome<unknown>> };
  return new ReadableStream<Uint8Array>({
    start() {
      const { child, outcome } = start<Order, Progress, unknown>({ ...options, signal }, 'pipe');
      outcome.catch(() => undefined);
      job = { reader: (child.stdout as ReadableStream<Uint8Array>).getReader(), outcome };
    },
    async pull(controller) {
      const { done, value } = await job.reader.read();
      if (!done) return controller.enqueue(value);
      const ended = await job.outcome;
      if ('failure' in ended) throw toError(ended.failure);
      controller.close();
    },
    cancel: () => given.abort(new Error('nobody reads it any more')),
  });
}

type JobOutcome<Result> = { readonly result: Result } | { readonly failure: JobFailure };

function start<Order, Progress, Result>(
  options: JobProcessOptions<Order, Progress>,
  stdout: 'ignore' | 'pipe',
): { readonly child: Bun.Subprocess; readonly outcome: Promise<JobOutcome<Result>> } {
  const { entry, order, onProgress, onAsk, signal } = options;
  signal?.throwIfAborted();
  let outcome: JobOutcome<Result> | null = null;

  const child: Bun.Subprocess = Bun.spawn([...lowPriority(), process.execPath, '--smol', entry], {
    env: environment(),
    stdin: 'ignore',
    stdout,
    stderr: 'ignore',
    serialization: 'advanced',
    ipc(message: FromJobProcess<Progress, Result>) {
      if ('progress' in message) onProgress(message.progress);
      else if ('ready' in message) send({ order });
      else if ('ask' in message) {
        const { ask } = message;
        onAsk().then(
          (answer) => send({ answer, to: ask }),
          () => send({ answer: false, to: ask }),
        );
      } else outcome = message;
    },
  });
  const send = (message: ToJobProcess<Order>) => {
    if (child.exitCode === null && child.signalCode === null) child.send(message);
  };
  const kill = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', kill, { once: true });
  const end = async (): Promise<JobOutcome<Result>> => {
    const exitCode = await child.exited;
    signal?.removeEventListener('abort', kill);
    signal?.throwIfAborted();
    if (outcome !== null) return outcome;
    const cause = new Error(`the process of a job died (exit code ${exitCode}, signal ${child.signalCode})`);
    throw serverProblems.create('internal', { cause });
  };
  return { child, outcome: end() };
}

/** Commands that start the rest with low priority: all its threads then have it from the start. */
function lowPriority(): string[] {
  const nice = Bun.which('nice');
  const ionice = Bun.which('ionice');
  return [...(nice ? [nice, '-n', NICENESS] : []), ...(ionice ? [ionice, '-t', '-c', '3'] : [])];
}

function environment(): Record<string, string> {
  // Credentials of AWS are looked for in places that these name; those in the settings come with the order.
  const names = [
    ...ENVIRONMENT,
    ...Object.keys(process.env).filter((name) => /^AWS_(CONTAINER|WEB_IDENTITY|ROLE)_/.test(name)),
  ];
  const own = Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
  return { ...own, BUN_JSC_forceRAMSize: String(HEAP_HINT_BYTES) };
}
