import type { BackupRecord } from './store.ts';

const AHEAD_MS = 60 * 60_000;

/** How well the system is backed up, by its list. */
export interface BackupState {
  /** The last attempt, when it came to nothing. */
  readonly failed: BackupRecord | null;
  readonly newest: BackupRecord | null;
  readonly newestGood: BackupRecord | null;
  readonly newestTested: BackupRecord | null;
}

/** @param all newest first. Those that a clock dated into the future say nothing. */
export function stateOf(all: readonly BackupRecord[], now: number, failed: BackupRecord | null): BackupState {
  const kept = all.filter(({ createdAt }) => createdAt <= now + AHEAD_MS);
  return {
    failed,
    newest: kept[0] ?? null,
    newestGood: kept.find(({ verification }) => verification?.isGood) ?? null,
    newestTested: kept.find(({ testRestore }) => testRestore !== null) ?? null,
  };
}
