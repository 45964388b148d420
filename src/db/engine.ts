import type { Client, InStatement, ResultSet } from '@libsql/core/api';

/**
 * One connection to a database file of ours. An engine opens two for each database: one that writes and one that only reads.
 */
export interface EngineConnection {
  /** Runs one statement; arguments by position. Rejects with what the engine throws. */
  execute(statement: InStatement): Promise<ResultSet>;
  /** A number that differs once another connection, of any process, has committed; null when it cannot be told cheaply. */
  dataVersion(): number | null;
  close(): void;
}

export interface ConnectionOptions {
  /** A file, or `:memory:`. */
  readonly path: string;
  readonly isReadOnly: boolean;
  /** Where the engine can encrypt. */
  readonly encryptionKey?: string | undefined;
}

/** How database files are opened. */
export interface Engine {
  readonly name: 'sqlite' | 'libsql';
  /** Whether several processes may use one file at the same time. */
  readonly allowsManyProcesses: boolean;
  open(options: ConnectionOptions): Promise<EngineConnection>;
}

/** What drizzle's driver calls of a client is `execute` alone. */
export function asClient(execute: EngineConnection['execute']): Client {
  return { execute } as unknown as Client;
}
