/**
 * A fixed number of equal buffers that many uploads share, so that memory stays bounded however many there are.
 */
export interface BufferPool {
  /** `null` when none is free. */
  tryTake(): Buffer | null;
  /** Waits its turn. Rejects with the signal's reason when it is aborted first. */
  take(signal: AbortSignal): Promise<Buffer>;
  give(buffer: Buffer): void;
}

/** Kept for the next upload; more than these are left to the garbage collector. */
const KEPT = 3;

export function bufferPool(bufferBytes: number, count: number): BufferPool {
  const idle: Buffer[] = [];
  const waiting = new Set<(buffer: Buffer) => void>();
  let taken = 0;
  const tryTake = (): Buffer | null => {
    if (taken >= count) return null;
    taken++;
    return idle.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
  };
  return {
    tryTake,
    async take(signal) {
      signal.throwIfAborted();
      const free = tryTake();
      if (free) return free;
      return new Promise((resolve, reject) => {
        const leave = () => {
          waiting.delete(accept);
          reject(signal.reason);
        };
        const accept = (buffer: Buffer) => {
          signal.removeEventListener('abort', leave);
          resolve(buffer);
        };
        signal.addEventListener('abort', leave, { once: true });
        waiting.add(accept);
      });
    },
    give(buffer) {
      const [next] = waiting;
      if (next) {
        waiting.delete(next);
        next(buffer);
        return;
      }
      taken--;
      if (idle.length < KEPT) idle.push(buffer);
    },
  };
}
