/** The body of an answer on its way from php-fpm to the client, holding no more than a bounded part of it. */
export interface Output {
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  push(bytes: Uint8Array<ArrayBuffer>): void;
  /** Everything was pushed. */
  end(): void;
  /** The client gets a body that is visibly cut. */
  fail(error: Error): void;
  /** Whether bytes wait for the client, rather than the client for bytes. */
  readonly isFull: boolean;
}

export interface OutputEvents {
  /** Enough waits: take no more from the connection until `onDrained`. */
  onFull(): void;
  onDrained(): void;
  /** The client does not want the rest. */
  onCancel(): void;
}

/** Bytes that may wait for the client while the script goes on; most pages fit, so that their child is free at once. */
const HIGH_WATER_BYTES = 256 * 1024;

export function createOutput(events: OutputEvents): Output {
  let waiting: Uint8Array<ArrayBuffer>[] = [];
  let waitingBytes = 0;
  let isEnded = false;
  let isPaused = false;
  let failure: Error | null = null;
  let wake: (() => void) | null = null;

  const wakeUp = () => {
    wake?.();
    wake = null;
  };

  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        while (waiting.length === 0 && !isEnded && !failure) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        if (failure) {
          controller.error(failure);
          return;
        }
        if (waiting.length > 0) {
          const bytes = waiting.length === 1 ? waiting[0] : Buffer.concat(waiting, waitingBytes);
          waiting = [];
          waitingBytes = 0;
          if (bytes) controller.enqueue(bytes);
          if (isPaused) {
            isPaused = false;
            events.onDrained();
          }
        }
        if (isEnded && waiting.length === 0) controller.close();
      },
      cancel() {
        waiting = [];
        waitingBytes = 0;
        if (!isEnded) events.onCancel();
      },
    },
    { highWaterMark: 0 },
  );

  return {
    stream,
    push(bytes) {
      waiting.push(bytes);
      waitingBytes += bytes.length;
      wakeUp();
      if (waitingBytes >= HIGH_WATER_BYTES && !isPaused) {
        isPaused = true;
        events.onFull();
      }
    },
    end() {
      isEnded = true;
      wakeUp();
    },
    fail(error) {
      failure = error;
      wakeUp();
    },
    get isFull() {
      return waitingBytes > 0;
    },
  };
}
