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
): Promise<{ readonly result: Result } | { readonly failure: JobFailure }> {
  const { entry, order, onProgress, onAsk, signal } = options;
  signal?.throwIfAborted();
  let outcome: { readonly result: Result } | { readonly failure: JobFailure } | null = null;

  const child = Bun.spawn([...lowPriority(), process.execPath, '--smol', entry], {
    env: environment(),
    stdin: 'ignore',
    stdout: 'ignore',
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
  const exitCode = await child.exited;
  signal?.removeEventListener('abort', kill);
  signal?.throwIfAborted();
  if (outcome !== null) return outcome;
  const cause = new Error(`the process of a job died (exit code ${exitCode}, signal ${child.signalCode})`);
  throw serverProblems.create('internal', { cause });
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
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}
