import type { AudienceStore } from '../../ports/bus.ts';

/** How many connections hear each channel of a wire: this process tells what it has, and learns what all have. */
export interface LocalAudience {
  /** So many connections of this process hear it now. */
  note(channel: string, connections: number): void;
  /** What is heard anywhere. */
  list(): Promise<ReadonlyMap<string, number>>;
  count(channel: string): Promise<number>;
}

/** Tells changes at once, and together those that come while the ones before are on their way. */
export function createLocalAudience(store: AudienceStore, onFault: (error: unknown) => void): LocalAudience {
  let changed = new Map<string, number>();
  let telling: Promise<void> | null = null;

  const tell = async () => {
    // What happens in the same turn of the loop goes together, too.
    await Promise.resolve();
    while (changed.size > 0) {
      const batch = changed;
      changed = new Map();
      await store.set(batch).catch(onFault);
    }
    telling = null;
  };

  return {
    note(channel, connections) {
      changed.set(channel, connections);
      telling ??= tell();
    },
    async list() {
      await telling;
      return store.list();
    },
    async count(channel) {
      await telling;
      return store.count(channel);
    },
  };
}
