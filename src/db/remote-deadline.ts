import { RemoteError } from './remote-errors.ts';

/** A moment after which nobody waits any more. */
export interface Deadline {
  /** Aborts what is under way. */
  readonly signal: AbortSignal;
  /** The work's value, or a `timeout` at the moment itself, whether or not the work notices the signal. */
  race<T>(work: Promise<T>): Promise<T>;
}

/** Gives `work` a deadline and takes it away again once the work has ended. Milliseconds. */
export async function withDeadline<T>(ms: number, work: (deadline: Deadline) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const { promise: expired, reject } = Promise.withResolvers<never>();
  expired.catch(() => undefined);
  const timer = setTimeout(() => {
    reject(new RemoteError('timeout'));
    controller.abort();
  }, ms);
  const race = <Value>(running: Promise<Value>) => {
    running.catch(() => undefined);
    return Promise.race([running, expired]);
  };
  try {
    return await race(work({ signal: controller.signal, race }));
  } finally {
    clearTimeout(timer);
  }
}

/** Waits, unless the signal says that it is pointless. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new RemoteError('timeout'));
    const stop = () => {
      clearTimeout(timer);
      reject(new RemoteError('timeout'));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}
