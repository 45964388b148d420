import type { Member, PresenceEntry, PresenceStore } from '../../ports/bus.ts';

/** The presence of this process' connections: keeps their leases alive. */
export interface LocalPresence {
  join(topic: string, member: Member): Promise<void>;
  /**
   * Idempotent; does nothing for a connection that is not there.
   * @param isLost it may be back in a moment, which nobody has to hear of.
   */
  leave(topic: string, client: string, isLost?: boolean): void;
  /** Renews the leases that need it. */
  tick(now: number): void;
}

export interface LocalPresenceOptions {
  readonly store: PresenceStore;
  readonly ttlMs: number;
  /** For those that were lost. */
  readonly graceMs: number;
  readonly onFault: (error: unknown) => void;
}

export function createLocalPresence({ store, ttlMs, graceMs, onFault }: LocalPresenceOptions): LocalPresence {
  const entries = new Map<string, PresenceEntry>();
  let touchedAt = 0;
  return {
    async join(topic, member) {
      entries.set(keyOf(topic, member.client), { topic, member });
      await store.join(topic, member);
      // It may have left while the store was still writing.
      if (!entries.has(keyOf(topic, member.client))) await store.leave(topic, member.client);
    },
    leave(topic, client, isLost = false) {
      if (!entries.delete(keyOf(topic, client))) return;
      (isLost ? store.fade(topic, client, graceMs) : store.leave(topic, client)).catch(onFault);
    },
    tick(now) {
      if (now - touchedAt < ttlMs / 3) return;
      touchedAt = now;
      if (entries.size > 0) store.touch([...entries.values()]).catch(onFault);
    },
  };
}

/** Neither part can hold a line break. */
function keyOf(topic: string, client: string): string {
  return `${topic}\n${client}`;
}
