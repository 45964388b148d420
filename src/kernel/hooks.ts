/**
 * Ordered handlers around one action. Each handler may look at the event, change it, stop the action by throwing, or
 * go on with `next()`; the action itself is simply the last handler. This is how strangers take part in a room's work
 * without the room knowing them.
 */

export type HookHandler<Event, Result> = (event: Event, next: () => Promise<Result>) => Promise<Result>;

export interface Hook<Event, Result = void> {
  /**
   * Adds a handler. Lower `order` runs earlier (default 0); equal orders run as they were added.
   * Returns the function that removes it.
   */
  add(handler: HookHandler<Event, Result>, order?: number): () => void;
  /** Runs every handler and then `action`. A handler that never calls `next` vetoes by its throw or its own result. */
  run(event: Event, action: () => Promise<Result>): Promise<Result>;
}

export function createHook<Event, Result = void>(): Hook<Event, Result> {
  let entries: readonly { readonly handler: HookHandler<Event, Result>; readonly order: number }[] = [];
  return {
    add(handler, order = 0) {
      const entry = { handler, order };
      entries = [...entries, entry].sort((a, b) => a.order - b.order);
      return () => {
        entries = entries.filter((other) => other !== entry);
      };
    },
    run(event, action) {
      const handlers = entries;
      const step = async (index: number): Promise<Result> => {
        const entry = handlers[index];
        if (!entry) return action();
        let called = false;
        return entry.handler(event, () => {
          if (called) throw new Error('a hook handler called next() twice');
          called = true;
          return step(index + 1);
        });
      };
      return step(0);
    },
  };
}
