/**
 * A bound on how much of one costly thing runs at once, with a bound on how many may wait for it.
 */

export interface Semaphore {
  /**
   * Runs `work` when a place is free; returns `null` at once when the queue is full, or has as many in it as `maxBefore` for those
   * who are to leave room for others.
   */
  run<T>(work: () => Promise<T>, maxBefore?: number): Promise<T> | null;
  /** How many run and how many wait right now. */
  readonly load: { readonly running: number; readonly waiting: number };
}

export function createSemaphore(places: number, maxWaiting: number): Semaphore {
  const queue: (() => void)[] = [];
  let running = 0;
  const leave = () => {
    const next = queue.shift();
    if (next) next();
    else running--;
  };
  return {
    run(work, maxBefore = maxWaiting) {
      if (running < places) {
        running++;
        return settle(work, leave);
      }
      if (queue.length >= Math.min(maxBefore, maxWaiting)) return null;
      return new Promise<void>((resolve) => queue.push(resolve)).then(() => settle(work, leave));
    },
    get load() {
      return { running, waiting: queue.length };
    },
  };
}

async function settle<T>(work: () => Promise<T>, leave: () => void): Promise<T> {
  try {
    return await work();
  } finally {
    leave();
  }
}
