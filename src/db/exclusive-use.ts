import { Database as Sqlite } from 'bun:sqlite';

const SET_UP = [
  'PRAGMA busy_timeout = 0',
  'PRAGMA locking_mode = EXCLUSIVE',
  'BEGIN EXCLUSIVE',
  'COMMIT',
  'PRAGMA wal_checkpoint(TRUNCATE)',
];

/**
 * Gets a database file for this process alone, made when it is missing. A connection in WAL mode holds a shared lock on the file as
 * long as it is open, so whether anybody else has it open is known by SQLite's own locks, which end with their process. What the
 * log holds is moved into the file meanwhile.
 *
 * @returns what lets go of it; null when another connection is open. For a file that is no readable database there is nothing
 * to hold, and nobody who could.
 */
export function claimFile(path: string): (() => void) | null {
  const connection = new Sqlite(path, { create: true, readwrite: true });
  try {
    for (const statement of SET_UP) connection.run(statement);
  } catch (error) {
    connection.close();
    if (isBusy(error)) return null;
    return () => undefined;
  }
  return () => connection.close();
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^SQLITE_(BUSY|LOCKED)/.test(String(error.code));
}
