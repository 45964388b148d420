/**
 * The order of one connection. The runtime calls message handlers without waiting for earlier ones; here each frame is handled
 * after the one before it is done. While nothing has to be waited for, nothing is queued.
 */
export interface Inbox {
  /** False when too much is waiting already. */
  push(frame: string): boolean;
  /** Goes on after `isPaused` has become false. */
  resume(): void;
  clear(): void;
}

export interface InboxOptions {
  readonly maxFrames: number;
  readonly maxBytes: number;
  /** MUST NOT throw or reject. */
  readonly handle: (frame: string) => void | Promise<void>;
  /** Whether frames must wait for now; whoever ends that calls `resume`. */
  readonly isPaused: () => boolean;
}

export function createInbox({ maxFrames, maxBytes, handle, isPaused }: InboxOptions): Inbox {
  let waiting: string[] = [];
  let bytes = 0;
  let isBusy = false;

  const run = async (first: Promise<void> | null) => {
    isBusy = true;
    if (first) await first;
    while (waiting.length > 0 && !isPaused()) {
      const batch = waiting;
      waiting = [];
      for (const [index, frame] of batch.entries()) {
        if (isPaused()) {
          waiting = [...batch.slice(index), ...waiting];
          break;
        }
        bytes -= frame.length;
        const done = handle(frame);
        if (done) await done;
      }
    }
    isBusy = false;
  };

  return {
    push(frame) {
      if (!isBusy && waiting.length === 0 && !isPaused()) {
        const done = handle(frame);
        if (done) run(done);
        return true;
      }
      if (waiting.length >= maxFrames || bytes + frame.length > maxBytes) return false;
      waiting.push(frame);
      bytes += frame.length;
      return true;
    },
    resume() {
      if (!isBusy && waiting.length > 0) run(null);
    },
    clear() {
      waiting = [];
      bytes = 0;
    },
  };
}
