import type { AudienceStore, Bus, BusListener, PresenceStore } from '../ports/bus.ts';

/** A bus that may be out of reach. */
export interface RemoteBus extends Bus {
  readonly isUp: boolean;
  /** Resolves when the first attempt to reach it has ended, well or not. */
  readonly opened: Promise<void>;
  /**
   * Names streams that went on without this bus while it was away. It is not up again before each of them has a new epoch and is
   * taken off the set: whoever listens to one on another process learns that there was more than they heard.
   */
  heal(strayed: Set<string>): void;
  /** Called when it has come up, and when it is gone. */
  onChange(heard: (isUp: boolean) => void): void;
}

/** A bus of this process that can begin anew. */
export interface LocalBus extends Bus {
  /** Forgets all streams; those to come have another epoch. */
  forget(): void;
}

/** So long everything waits for a shared bus that was just lost: mostly it is back at once, and nothing was missed then. */
const HOPE_MS = 1_000;

/**
 * A shared bus, and that of this process while the shared one is out of reach: clients of one machine go on talking. The two
 * have different epochs, and so has each absence, so everybody who could have missed something on the way over is told.
 */
export function fallbackBus(remote: RemoteBus, local: LocalBus, hopeMs = HOPE_MS): Bus {
  const current = () => (remote.isUp ? remote : local);
  let listener: BusListener | null = null;
  const strayed = new Set<string>();
  remote.heal(strayed);
  /** Resolves when the shared bus is back or is given up for now; null while there is nothing to wait for. */
  let hope: Promise<void> | null = null;
  let endHope: () => void = () => undefined;
  remote.onChange((isUp) => {
    endHope();
    if (isUp) {
      // Who was told numbers of one absence must not go on from them in the next.
      local.forget();
    } else if (hopeMs > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(() => endHope(), hopeMs);
      endHope = () => {
        clearTimeout(timer);
        hope = null;
        resolve();
      };
      hope = promise;
    }
  });

  const presence: PresenceStore = {
    join: (topic, member) => current().presence.join(topic, member),
    // The connection may have joined on either side of an outage.
    async leave(topic, client) {
      await local.presence.leave(topic, client);
      if (remote.isUp) await remote.presence.leave(topic, client);
    },
    async fade(topic, client, graceMs) {
      await local.presence.fade(topic, client, graceMs);
      if (remote.isUp) await remote.presence.fade(topic, client, graceMs);
    },
    touch: (entries) => current().presence.touch(entries),
    list: (topic) => current().presence.list(topic),
    count: (topic) => current().presence.count(topic),
  };

  const audience: AudienceStore = {
    // Both know it, so that either can answer at any time.
    async set(counts) {
      await local.audience.set(counts);
      await remote.audience.set(counts).catch((error: unknown) => {
        // It is told again when the shared bus is back.
        if (remote.isUp) throw error;
      });
    },
    list: () => current().audience.list(),
    count: (name) => current().audience.count(name),
  };

  return {
    presence,
    audience,
    listen(heard) {
      listener = heard;
      remote.listen(heard);
      local.listen({
        ...heard,
        onPublication: (...delivery) => {
          if (!remote.isUp) heard.onPublication(...delivery);
        },
      });
    },
    async publish(topic, draft, key) {
      if (hope) await hope;
      if (remote.isUp) return remote.publish(topic, draft, key);
      strayed.add(topic);
      return local.publish(topic, draft, key);
    },
    async subscribe(topic) {
      if (hope) await hope;
      const here = await local.subscribe(topic);
      try {
        return await remote.subscribe(topic);
      } catch (error) {
        // It will be listened to from when the shared bus is back.
        if (remote.isUp) throw error;
        return here;
      }
    },
    unsubscribe(topic) {
      remote.unsubscribe(topic);
      local.unsubscribe(topic);
    },
    async history(topic, query) {
      if (hope) await hope;
      return current().history(topic, query);
    },
    async signal(signal) {
      if (hope) await hope;
      try {
        await remote.signal(signal);
      } catch {
        // The other machines cannot be told; this one must obey all the same.
        listener?.onSignal(signal);
      }
    },
    ping: () => remote.ping(),
    async close() {
      endHope();
      await Promise.all([remote.close(), local.close()]);
    },
  };
}
