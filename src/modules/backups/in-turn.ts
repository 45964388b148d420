/** Pieces of work that are done one after the other beside something else, which ends when one of them fails. */
export interface InTurn {
  /** Aborted with the first failure, and by the signal that was given. */
  readonly signal: AbortSignal;
  add(work: () => Promise<void>): void;
  /** Resolves when all that was added is done, and rejects with the first failure. */
  done(): Promise<void>;
  /** Begins nothing more, aborts with the reason, and resolves when what was under way has ended. */
  stop(reason: unknown): Promise<void>;
}

export function inTurn(given?: AbortSignal): InTurn {
  const own = new AbortController();
  const signal = AbortSignal.any([own.signal, ...(given ? [given] : [])]);
  let last: Promise<void> = Promise.resolve();
  return {
    signal,
    add(work) {
      last = last.then(() => {
        signal.throwIfAborted();
        return work();
      });
      last.catch((error: unknown) => own.abort(error));
    },
    done: () => last,
    async stop(reason) {
      own.abort(reason);
      await last.catch(() => undefined);
    },
  };
}
