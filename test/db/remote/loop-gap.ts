/** Measures how long the event loop of this process was held up by this process itself. */
export interface LoopGap {
  /** The longest time between two turns so far, less the longest of a thread that does nothing; in milliseconds. */
  readonly longestMs: number;
  [Symbol.dispose](): void;
}

export function watchLoop(): LoopGap {
  const idle = new Float64Array(new SharedArrayBuffer(8));
  const thread = new Worker(new URL('./idle-thread.ts', import.meta.url));
  thread.postMessage(idle.buffer);
  let last = performance.now();
  let longestMs = 0;
  let timer: Timer | null = null;
  // Starting the thread is no part of what is measured.
  thread.onmessage = () => {
    last = performance.now();
    timer = setInterval(() => {
      const now = performance.now();
      longestMs = Math.max(longestMs, now - last);
      last = now;
    }, 1);
  };
  return {
    get longestMs() {
      return timer === null ? 0 : Math.max(0, Math.max(longestMs, performance.now() - last) - (idle[0] ?? 0));
    },
    [Symbol.dispose]() {
      if (timer !== null) clearInterval(timer);
      thread.terminate();
    },
  };
}
