/** Looks at a topic again when a lease on it is over, so that a leave is told when it is due and not with the next visit. */
export interface PresenceSweeper {
  plan(topic: string, afterMs: number): void;
  close(): void;
}

/** Clocks and timers are not exactly of one mind. */
const SLACK_MS = 50;

/** @param sweep takes those off whose lease is over. MUST NOT throw. */
export function createPresenceSweeper(sweep: (topic: string) => void): PresenceSweeper {
  const due = new Map<string, number>();
  const timers = new Map<string, ReturnType<typeof setTimeout>>();

  const start = (topic: string, afterMs: number) => {
    const timer = setTimeout(() => {
      timers.delete(topic);
      sweep(topic);
      const restMs = (due.get(topic) ?? 0) - performance.now();
      if (restMs > 0) start(topic, restMs);
      else due.delete(topic);
    }, afterMs + SLACK_MS);
    timer.unref?.();
    timers.set(topic, timer);
  };

  return {
    plan(topic, afterMs) {
      due.set(topic, performance.now() + afterMs);
      if (!timers.has(topic)) start(topic, afterMs);
    },
    close() {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}
