import { Database as Sqlite, type Statement } from 'bun:sqlite';
import { type Client, type InArgs, type InStatement, LibsqlError, type ResultSet, type Row } from '@libsql/core/api';
import { LruMap } from '../kernel/lru.ts';

/**
 * The libSQL `Client` interface over Bun's own SQLite, so that drizzle's libSQL driver runs on it: one connection, prepared
 * statements kept. Why not the native libSQL client for files: `docs/decisions/embedded-engine.md`.
 */
export interface SqliteClient extends Client {
  /** Runs a statement now, on this thread. */
  executeNow(statement: InStatement): ResultSet;
  /** A number that differs once another connection, of any process, has committed a change. */
  dataVersion(): number;
}

interface Prepared {
  readonly statement: Statement;
  /** None for a statement that returns no rows. */
  readonly columns: string[];
}

/** How many prepared statements one connection keeps. */
const STATEMENT_CACHE = 500;

/** @param path a file, or `:memory:`. */
export function openSqliteClient(path: string, options: { readonly isReadOnly?: boolean } = {}): SqliteClient {
  const connection = new Sqlite(path, {
    ...(options.isReadOnly ? { readonly: true } : { create: true, readwrite: true }),
    safeIntegers: false,
  });
  const prepared = new LruMap<string, Prepared>(STATEMENT_CACHE);

  const prepare = (sql: string): Prepared => {
    const kept = prepared.get(sql);
    if (kept) return kept;
    const statement = connection.prepare(sql);
    const fresh = { statement, columns: statement.columnNames };
    prepared.set(sql, fresh);
    return fresh;
  };

  const executeNow = (input: InStatement): ResultSet => {
    const { sql, args } = typeof input === 'string' ? { sql: input, args: [] } : input;
    try {
      const { statement, columns } = prepare(sql);
      const values = toBindings(args);
      if (columns.length === 0) {
        const { changes, lastInsertRowid } = statement.run(...(values as never[]));
        return resultSet([], [], changes, BigInt(lastInsertRowid));
      }
      const rows = statement.values(...(values as never[])) as unknown[][];
      return resultSet(columns, rows, 0, undefined);
    } catch (error) {
      throw toLibsqlError(error);
    }
  };

  const unsupported = (what: string) => () => {
    throw new LibsqlError(`${what} is not offered here; use Database.write`, 'UNSUPPORTED');
  };

  const dataVersion = connection.prepare('PRAGMA data_version');

  return {
    executeNow,
    dataVersion: () => (dataVersion.values()[0] as [number])[0],
    execute: async (statement: InStatement | string, args?: InArgs) =>
      executeNow(typeof statement === 'string' ? { sql: statement, args: args ?? [] } : statement),
    batch: unsupported('batch'),
    migrate: unsupported('migrate'),
    transaction: unsupported('transaction'),
    executeMultiple: async (sql) => void connection.exec(sql),
    sync: unsupported('sync'),
    reconnect: unsupported('reconnect'),
    close: () => connection.close(),
    get closed() {
      return false;
    },
    protocol: 'file',
  };
}

function toBindings(args: InArgs | undefined): unknown[] {
  if (args === undefined) return [];
  if (!Array.isArray(args)) throw new LibsqlError('named arguments are not offered', 'UNSUPPORTED');
  return args.map((value) => {
    if (typeof value === 'boolean') return value ? 1 : 0;
    if (value instanceof Date) return value.valueOf();
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    return value;
  });
}

/** Rows are arrays (what drizzle maps from) that also answer to column names. */
function resultSet(
  columns: string[],
  rows: unknown[][],
  rowsAffected: number,
  lastInsertRowid: bigint | undefined,
): ResultSet {
  return {
    columns,
    columnTypes: columns.map(() => ''),
    rows: rows as unknown as Row[],
    rowsAffected,
    lastInsertRowid,
    toJSON: () => ({ columns, rows, rowsAffected }),
  };
}

function toLibsqlError(error: unknown): unknown {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('SQLITE')) {
    const [, base = error.code] = /^(SQLITE_[A-Z]+)/.exec(error.code) ?? [];
    const rawCode = 'errno' in error ? Number(error.errno) : undefined;
    return new LibsqlError(error.message, base, error.code, rawCode, error);
  }
  return error;
}
