/** Measures how long the event loop of this process was held up. */
export interface LoopGap {
  /** The longest time between two turns so far, in milliseconds. */
  readonly longestMs: number;
  [Symbol.dispose](): void;
}

export function watchLoop(): LoopGap {
  let last = performance.now();
  let longestMs = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
  }, 1);
  return {
    get longestMs() {
      return Math.max(longestMs, performance.now() - last);
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
