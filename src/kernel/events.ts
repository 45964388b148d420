/**
 * Typed events: how a room tells the others that something happened. Names are in the past tense.
 *
 * Telling never fails and never waits: a listener that throws or rejects is reported to `onFault` and the others still
 * hear. Use a hook (`kernel/hooks.ts`) where the listener may object or must finish first.
 */

/** Everything that is told in the house. A module that tells something new adds its line here. */
export interface Events {
  'alerts/raised': { readonly name: string; readonly message: string; readonly severity: 'warning' | 'critical' };
  'auth/token-reused': { readonly userId: string; readonly sessionId: string };
  'auth/sessions-revoked': { readonly userId: string; readonly sessionId: string | null };
  'users/created': { readonly userId: string };
  'users/changed': { readonly userId: string };
  'users/deleted': { readonly userId: string };
  'files/created': { readonly fileId: string; readonly ownerId: string };
  /** Its name, its visibility or its content is another. */
  'files/changed': { readonly fileId: string; readonly ownerId: string };
  'files/deleted': { readonly fileId: string; readonly ownerId: string };
  'backups/progress': BackupEvent;
  /** Work on a backup is done or has failed. */
  'backups/finished': BackupEvent;
}

export interface BackupEvent {
  readonly backupId: string;
  /** Whose it is, or who asked for it; null when nobody did. */
  readonly userId: string | null;
  readonly scope: 'user' | 'system';
  readonly operation: 'create' | 'import' | 'verify' | 'restore';
  readonly status: 'queued' | 'running' | 'done' | 'failed';
  /** 0 to 1. */
  readonly progress: number;
}

export type EventName = keyof Events;
type Listener<Name extends EventName> = (event: Events[Name]) => void | Promise<void>;

export interface EventBus {
  emit<Name extends EventName>(name: Name, event: Events[Name]): void;
  /** Returns the function that ends the subscription; calling it again does nothing. */
  on<Name extends EventName>(name: Name, listener: Listener<Name>): () => void;
}

/** @param onFault hears what a listener threw; it must not throw itself. */
export function createEvents(onFault: (error: unknown, name: EventName) => void): EventBus {
  const listeners = new Map<EventName, Set<Listener<never>>>();
  return {
    emit(name, event) {
      for (const listener of [...(listeners.get(name) ?? [])]) {
        try {
          const done = (listener as Listener<typeof name>)(event);
          if (done instanceof Promise) done.catch((error: unknown) => onFault(error, name));
        } catch (error) {
          onFault(error, name);
        }
      }
    },
    on(name, listener) {
      const set = listeners.get(name) ?? new Set();
      listeners.set(name, set);
      set.add(listener as Listener<never>);
      return () => void set.delete(listener as Listener<never>);
    },
  };
}
