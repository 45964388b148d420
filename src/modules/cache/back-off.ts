import { LruMap } from '../../kernel/lru.ts';
import type { Clock } from '../../ports/clock.ts';

const FIRST_MS = 1_000;
const LONGEST_MS = 60_000;
const MAX_KEYS = 10_000;

/** Keeps what failed from being tried again at every request: the pause doubles with each failure in a row. */
export interface BackOff {
  isWaiting(key: string): boolean;
  failed(key: string): void;
  succeeded(key: string): void;
}

export function createBackOff(clock: Clock): BackOff {
  const failures = new LruMap<string, { readonly pauseMs: number; readonly retryAt: number }>(MAX_KEYS);
  return {
    isWaiting: (key) => (failures.get(key)?.retryAt ?? 0) > clock.now(),
    failed(key) {
      const pauseMs = Math.min((failures.get(key)?.pauseMs ?? FIRST_MS / 2) * 2, LONGEST_MS);
      failures.set(key, { pauseMs, retryAt: clock.now() + pauseMs * (0.75 + Math.random() / 2) });
    },
    succeeded: (key) => failures.delete(key),
  };
}
