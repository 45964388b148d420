/** What an inbox works for. */
export interface InboxOwner {
  readonly limits: { readonly maxQueuedCommands: number; readonly maxFrameBytes: number };
  /** MUST NOT throw or reject. */
  carryOut(command: string): void | Promise<void>;
  /** Whether commands must wait for now; whoever ends that calls `resume`. */
  readonly isPaused: boolean;
}

/**
 * The order of one connection. The runtime calls message handlers without waiting for earlier ones; here each command is handled
 * after the one before it is done. While nothing has to be waited for, nothing is queued. It is a class, since there are very many.
 */
export class Inbox {
  readonly #owner: InboxOwner;
  #waiting: string[] | null = null;
  #bytes = 0;
  #isBusy = false;

  constructor(owner: InboxOwner) {
    this.#owner = owner;
  }

  /** False when too much is waiting already. */
  push(command: string): boolean {
    const owner = this.#owner;
    if (!this.#isBusy && this.#waiting === null && !owner.isPaused) {
      const done = owner.carryOut(command);
      if (done) this.#run(done);
      return true;
    }
    const { maxQueuedCommands, maxFrameBytes } = owner.limits;
    this.#waiting ??= [];
    if (this.#waiting.length >= maxQueuedCommands || this.#bytes + command.length > maxFrameBytes) return false;
    this.#waiting.push(command);
    this.#bytes += command.length;
    return true;
  }

  /** Goes on after `isPaused` has become false. */
  resume(): void {
    if (!this.#isBusy && this.#waiting !== null) this.#run(null);
  }

  clear(): void {
    this.#waiting = null;
    this.#bytes = 0;
  }

  async #run(first: Promise<void> | null): Promise<void> {
    const owner = this.#owner;
    this.#isBusy = true;
    if (first) await first;
    while (this.#waiting !== null && !owner.isPaused) {
      const batch = this.#waiting;
      this.#waiting = null;
      for (const [index, command] of batch.entries()) {
        if (owner.isPaused) {
          this.#waiting = [...batch.slice(index), ...(this.#waiting ?? [])];
          break;
        }
        this.#bytes -= command.length;
        const done = owner.carryOut(command);
        if (done) await done;
      }
    }
    this.#isBusy = false;
  }
}
