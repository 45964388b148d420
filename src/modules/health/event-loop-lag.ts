/** How often the loop is asked whether it is on time. */
const PROBE_MS = 100;
/** Readings that are kept: the last 30 seconds. */
const READINGS = 300;

/** Watches how late the event loop runs. */
export interface LoopLag {
  start(): void;
  stop(): void;
  /** The longest delay of the last 30 seconds, in seconds. */
  max(): number;
}

export function createLoopLag(): LoopLag {
  const readings = new Float64Array(READINGS);
  let position = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  return {
    start() {
      let expected = performance.now() + PROBE_MS;
      timer = setInterval(() => {
        const now = performance.now();
        readings[position++ % READINGS] = Math.max(0, now - expected) / 1000;
        expected = now + PROBE_MS;
      }, PROBE_MS);
      timer.unref();
    },
    stop: () => clearInterval(timer),
    max: () => readings.reduce((most, reading) => Math.max(most, reading), 0),
  };
}
