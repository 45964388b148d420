/**
 * The order of one connection. The runtime calls message handlers without waiting for earlier ones; here each command is handled
 * after the one before it is done. While nothing has to be waited for, nothing is queued.
 */
export interface Inbox {
  /** False when too much is waiting already. */
  push(command: string): boolean;
  /** Goes on after `isPaused` has become false. */
  resume(): void;
  clear(): void;
}

export interface InboxOptions {
  readonly maxCommands: number;
  readonly maxBytes: number;
  /** MUST NOT throw or reject. */
  readonly handle: (command: string) => void | Promise<void>;
  /** Whether commands must wait for now; whoever ends that calls `resume`. */
  readonly isPaused: () => boolean;
}

export function createInbox({ maxCommands, maxBytes, handle, isPaused }: InboxOptions): Inbox {
  let waiting: string[] = [];
  let bytes = 0;
  let isBusy = false;

  const run = async (first: Promise<void> | null) => {
    isBusy = true;
    if (first) await first;
    while (waiting.length > 0 && !isPaused()) {
      const batch = waiting;
      waiting = [];
      for (const [index, command] of batch.entries()) {
        if (isPaused()) {
          waiting = [...batch.slice(index), ...waiting];
          break;
        }
        bytes -= command.length;
        const done = handle(command);
        if (done) await done;
      }
    }
    isBusy = false;
  };

  return {
    push(command) {
      if (!isBusy && waiting.length === 0 && !isPaused()) {
        const done = handle(command);
        if (done) run(done);
        return true;
      }
      if (waiting.length >= maxCommands || bytes + command.length > maxBytes) return false;
      waiting.push(command);
      bytes += command.length;
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
