import type { BackupRecord } from './store.ts';

/** How well the system is backed up, by its list. */
export interface BackupState {
  readonly newest: BackupRecord | null;
  readonly newestGood: BackupRecord | null;
  readonly newestTested: BackupRecord | null;
}

/** @param kept newest first. */
export function stateOf(kept: readonly BackupRecord[]): BackupState {
  return {
    newest: kept[0] ?? null,
    newestGood: kept.find(({ verification }) => verification?.isGood) ?? null,
    newestTested: kept.find(({ testRestore }) => testRestore !== null) ?? null,
  };
}
