/** Lets so many bytes through in a second, over all that take part, and makes the rest wait. */
export interface Throttle {
  /** Resolves when that many more bytes may be read. Rejects with the signal's reason. */
  pass(bytes: number): Promise<void>;
}

/** @param bytesPerSecond `null` for no bound. */
export function createThrottle(bytesPerSecond: number | null, signal?: AbortSignal): Throttle {
  if (bytesPerSecond === null) return { pass: async () => signal?.throwIfAborted() };
  /** When all that was let through so far has had its time. */
  let isPaidAt = performance.now();
  return {
    async pass(bytes) {
      signal?.throwIfAborted();
      const now = performance.now();
      isPaidAt = Math.max(isPaidAt, now) + (bytes / bytesPerSecond) * 1_000;
      if (isPaidAt > now) await pause(isPaidAt - now, signal);
    },
  };
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const onAbort = () => {
      end();
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      end();
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
