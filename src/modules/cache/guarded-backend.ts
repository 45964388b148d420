import { inTime } from '../../kernel/in-time.ts';
import type { CacheBackend } from '../../ports/cache.ts';
import type { Clock } from '../../ports/clock.ts';

/** A backend whose answers come in time or not at all: `null` and `false` say that it could not be asked. */
export interface BackendAccess {
  read(id: string): Promise<{ readonly frame: Uint8Array | null } | null>;
  set(id: string, frame: Uint8Array, ttlSeconds: number): Promise<boolean>;
  delete(id: string): Promise<boolean>;
  list(prefix: string): Promise<string[] | null>;
}

export interface GuardedBackend extends BackendAccess {
  /** False before it has answered for the first time, and while it is left alone. */
  readonly isUp: boolean;
  /** Looks whether a backend that is left alone answers, when it is time to or when that is waited for. Never rejects. */
  probe(isAwaited?: boolean): Promise<void>;
  /** Resolves when what is under way has ended or has been given up. */
  settled(): Promise<void>;
}

export interface GuardedBackendOptions {
  readonly backend: CacheBackend;
  readonly clock: Clock;
  readonly onFault: (error: unknown) => void;
  /** How long a request waits for it. */
  readonly readMs: number;
  /** What must be done before the backend is used again. While it resolves to `false` the backend stays down. */
  readonly onReturn: (access: BackendAccess) => Promise<boolean>;
}

const WRITE_MS = 500;
const LIST_MS = 5_000;
/** While nobody waits for it. */
const RETURN_MS = 2_000;
/** How many failures in a row until the backend is left alone. */
const FAILURES = 3;
const PROBE_MIN_MS = 500;
const PROBE_MAX_MS = 10_000;
/** What may be under way, given up or not: a backend that hangs holds on to what it was given. */
const MAX_PENDING = 512;
const MAX_PENDING_BYTES = 32 * 1024 * 1024;
const PROBE_ID = 'meta:probe';

/**
 * Deadlines and a circuit breaker around a backend. After a few failures in a row it is left alone, so nobody waits for it; whether
 * it is back is found out behind the scenes and not by somebody's request.
 */
export function guardBackend(options: GuardedBackendOptions): GuardedBackend {
  const { backend, clock, onFault, onReturn, readMs } = options;
  /** What is under way, since the backend last came back: what never ends must not keep it closed for good. */
  let pending = { calls: new Set<Promise<unknown>>(), bytes: 0 };
  let failures = 0;
  let isUp = false;
  let probeAt = 0;
  let probeMs = PROBE_MIN_MS;
  let probing: Promise<void> | null = null;

  const attempt = async <T>(
    work: () => Promise<T>,
    limitMs: number,
    bytes = 0,
  ): Promise<{ readonly value: T } | null> => {
    const counted = pending;
    counted.bytes += bytes;
    const running = Promise.try(work).finally(() => {
      counted.bytes -= bytes;
      counted.calls.delete(running);
    });
    counted.calls.add(running);
    running.catch(() => undefined);
    try {
      const value = await withLimit(running, limitMs);
      failures = 0;
      return { value };
    } catch (error) {
      failures++;
      // Told once for each outage.
      if (failures === FAILURES) onFault(error);
      if (failures >= FAILURES && isUp) {
        isUp = false;
        probeMs = PROBE_MIN_MS;
        probeAt = clock.now() + probeMs;
      }
      return null;
    }
  };

  /** Regardless of whether the backend counts as up. */
  const access = (limits: { readonly read: number; readonly write: number }): BackendAccess => ({
    async read(id) {
      const read = await attempt(() => backend.get(id), limits.read);
      return read && { frame: read.value };
    },
    set: async (id, frame, ttlSeconds) =>
      (await attempt(() => backend.set(id, frame, ttlSeconds), limits.write, frame.byteLength)) !== null,
    delete: async (id) => (await attempt(() => backend.delete(id), limits.write)) !== null,
    list: async (prefix) => (await attempt(() => backend.list(prefix), LIST_MS))?.value ?? null,
  });
  const inRequest = access({ read: readMs, write: WRITE_MS });
  /** One at a time, and without a bound. */
  const inBackground = access({ read: RETURN_MS, write: RETURN_MS });
  const isOpen = (bytes = 0) => isUp && pending.calls.size < MAX_PENDING && pending.bytes + bytes <= MAX_PENDING_BYTES;

  const comeBack = async () => {
    if ((await inBackground.read(PROBE_ID)) && (await onReturn(inBackground))) {
      isUp = true;
      probeMs = PROBE_MIN_MS;
      pending = { calls: new Set(), bytes: 0 };
      return;
    }
    probeMs = Math.min(probeMs * 2, PROBE_MAX_MS);
    // Machines that lost the same backend should not all come back in the same moment.
    probeAt = clock.now() + probeMs * (0.75 + Math.random() / 2);
  };

  return {
    get isUp() {
      return isUp;
    },
    read: async (id) => (isOpen() ? inRequest.read(id) : null),
    set: async (id, frame, ttlSeconds) => isOpen(frame.byteLength) && inRequest.set(id, frame, ttlSeconds),
    delete: async (id) => isOpen() && inRequest.delete(id),
    list: async (prefix) => (isOpen() ? inRequest.list(prefix) : null),
    async probe(isAwaited = false) {
      if (isUp || (clock.now() < probeAt && !isAwaited)) return;
      probing ??= comeBack().finally(() => {
        probing = null;
      });
      await probing;
    },
    async settled() {
      await withLimit(Promise.allSettled(pending.calls), WRITE_MS).catch(() => undefined);
    },
  };
}

function withLimit<T>(running: Promise<T>, ms: number): Promise<T> {
  return inTime(running, ms, () => new Error(`the cache backend took longer than ${ms} ms`));
}
