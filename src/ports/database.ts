import type { ResultSet } from '@libsql/core/api';
import type { BaseSQLiteDatabase } from 'drizzle-orm/sqlite-core';
import type { HealthStatus } from '../kernel/checks.ts';

/**
 * One named SQL database. Engines translate their errors to `database/*` problems; a broken constraint arrives as
 * {@link ConstraintError}. Neither ever carries SQL or parameters to a client.
 */
export interface Database {
  readonly name: string;
  /** Reads of committed data. Never waits for the write queue. MUST NOT be used for writes. */
  readonly read: Queries;
  /**
   * Runs `work` as one transaction; when it resolves, the commit is durable. Calls are queued, so a read-modify-write
   * inside is safe. `work` may run statements on `tx` only: no think-time and no outbound call.
   * A throw rolls back and is passed on.
   */
  write<T>(work: (tx: Queries) => Promise<T>): Promise<T>;
  /**
   * Runs statements as one transaction, alone and with foreign keys not enforced, as rebuilding a table needs
   * (https://sqlite.org/lang_altertable.html §7). Rolled back, with a throw, when rows would be left that refer to nothing.
   */
  migrate(statements: readonly SqlStatement[]): Promise<void>;
  /** Writes a consistent copy of the whole database to a file that does not exist yet; engines without files have none. */
  snapshot?(path: string): Promise<void>;
  /**
   * A number that differs after anybody, in any process, committed a change; `null` when the engine cannot tell
   * cheaply. What was read under one version is still true while the version stands.
   */
  version(): number | null;
  /** Rejects when the database cannot answer right now. */
  ping(): Promise<void>;
  /** How the database is, where there is more to say than that it answers. */
  health?(): Promise<HealthStatus>;
  /** Finishes the queue and lets go of the file or connection. */
  close(): Promise<void>;
}

export interface SqlStatement {
  readonly sql: string;
  /** By position. */
  readonly args?: readonly (string | number | null)[];
}

/** Drizzle over whatever engine: what both a database and a transaction can do. */
export type Queries = Pick<
  BaseSQLiteDatabase<'async', ResultSet, Record<string, never>>,
  | 'select'
  | 'selectDistinct'
  | 'insert'
  | 'update'
  | 'delete'
  | 'run'
  | 'all'
  | 'get'
  | 'values'
  | '$with'
  | 'with'
  | '$count'
>;

/** A constraint said no. `kind` is SQLite's extended result code by name. */
export class ConstraintError extends Error {
  override readonly name = 'ConstraintError';
  readonly kind: 'unique' | 'foreign-key' | 'not-null' | 'check' | 'other';

  constructor(kind: ConstraintError['kind'], options?: ErrorOptions) {
    super(`a ${kind} constraint was violated`, options);
    this.kind = kind;
  }
}
