import { databaseProblems } from '../kernel/problems.ts';

/** Lets one through at a time, in the order of asking. */
export interface Turns {
  /**
   * Runs `work` when all before it have ended.
   * @throws database/busy when its turn does not come in time.
   */
  take<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves when nobody waits or runs. */
  idle(): Promise<void>;
}

/** @param longestWaitMs how long a turn may take to come. */
export function createTurns(longestWaitMs: number): Turns {
  const waiting = new Set<() => void>();
  const idlers: (() => void)[] = [];
  let isTaken = false;

  const leave = () => {
    const [next] = waiting;
    if (next) {
      waiting.delete(next);
      next();
      return;
    }
    isTaken = false;
    for (const resolve of idlers.splice(0)) resolve();
  };
  const enter = () =>
    new Promise<void>((resolve, reject) => {
      if (!isTaken) {
        isTaken = true;
        resolve();
        return;
      }
      const start = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        waiting.delete(start);
        reject(databaseProblems.create('busy', { retryAfterSeconds: 1 }));
      }, longestWaitMs);
      waiting.add(start);
    });

  return {
    async take(work) {
      await enter();
      try {
        return await work();
      } finally {
        leave();
      }
    },
    idle: () => (isTaken ? new Promise<void>((resolve) => idlers.push(resolve)) : Promise.resolve()),
  };
}
