import { LibsqlError } from '@libsql/core/api';
import { sql } from 'drizzle-orm';
import type { RemoteDatabase } from './remote.ts';
import { RemoteError } from './remote-errors.ts';
import type { Outcome } from './remote-hrana.ts';

/**
 * One row that says which database this is. It is made at the primary once, reaches every replica with the data, and is compared
 * before anything is taken from a primary: one that lost its data has lost the row too.
 */
export const READ_IDENTITY = 'SELECT id FROM bunkhouse_replica_identity';

const TABLE = `CREATE TABLE IF NOT EXISTS bunkhouse_replica_identity (
  one integer PRIMARY KEY NOT NULL DEFAULT 1 CHECK (one = 1), id text NOT NULL)`;

/** @returns the primary's identity; null when it has none. @throws when it cannot be asked. */
export async function readIdentity(primary: RemoteDatabase, deadlineMs: number): Promise<string | null> {
  const { rows } = await primary.query(
    "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'bunkhouse_replica_identity'",
    deadlineMs,
  );
  if (rows.length === 0) return null;
  return toIdentity((await primary.query(READ_IDENTITY, deadlineMs)).rows);
}

/** Gives the primary an identity unless another machine has just done so. @returns the one that it has now. */
export async function createIdentity(primary: RemoteDatabase, deadlineMs: number): Promise<string> {
  await primary.write(async (tx) => {
    await tx.run(sql.raw(TABLE));
    await tx.run(sql`INSERT OR IGNORE INTO bunkhouse_replica_identity (id) VALUES (${crypto.randomUUID()})`);
  });
  const id = await readIdentity(primary, deadlineMs);
  if (id === null) throw new RemoteError('replaced');
  return id;
}

/** @param rows of {@link READ_IDENTITY}. */
export function toIdentity(rows: readonly unknown[]): string | null {
  const id = (rows[0] as readonly unknown[] | undefined)?.[0];
  return typeof id === 'string' ? id : null;
}

/**
 * Whether what became of {@link READ_IDENTITY} at a server shows the expected database.
 * @throws when the server did not say.
 */
export function isExpected(outcome: Outcome, expected: string): boolean {
  if (outcome === null) throw new RemoteError('lost');
  if (outcome instanceof LibsqlError) return false;
  if (outcome instanceof Error) throw outcome;
  return toIdentity(outcome.rows) === expected;
}
