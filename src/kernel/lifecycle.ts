/**
 * Start in order, stop in reverse. Every stop phase is named and limited in time, and all of them run whatever the
 * others did; the first phase added is the last to stop, so the logger goes first.
 */

export interface Phase {
  readonly name: string;
  start?(): Promise<void> | void;
  stop?(): Promise<void> | void;
  /** How long `stop` may take before it is given up, in milliseconds. */
  readonly stopTimeoutMs?: number;
}

export interface Lifecycle {
  add(phase: Phase): void;
  /** Starts every phase in order. When one fails, those already started are stopped and the failure is thrown. */
  start(): Promise<void>;
  /** Stops what was started, in reverse. Idempotent: a second call waits for the first. Never rejects. */
  stop(): Promise<void>;
}

const DEFAULT_STOP_TIMEOUT_MS = 10_000;

/** @param onFault hears what a phase threw, or that it took too long, while stopping. */
export function createLifecycle(onFault: (error: unknown, phase: string) => void): Lifecycle {
  const phases: Phase[] = [];
  const started: Phase[] = [];
  let stopping: Promise<void> | null = null;

  const stopAll = async () => {
    for (let phase = started.pop(); phase; phase = started.pop()) {
      try {
        await limited(phase);
      } catch (error) {
        onFault(error, phase.name);
      }
    }
  };

  return {
    add: (phase) => void phases.push(phase),
    async start() {
      for (const phase of phases) {
        started.push(phase);
        try {
          await phase.start?.();
        } catch (error) {
          await stopAll();
          throw error;
        }
      }
    },
    stop() {
      stopping ??= stopAll();
      return stopping;
    },
  };
}

async function limited(phase: Phase): Promise<void> {
  const timeoutMs = phase.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`stopping took longer than ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([phase.stop?.(), deadline]);
  } finally {
    clearTimeout(timer);
  }
}
