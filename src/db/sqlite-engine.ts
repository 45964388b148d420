import { Database as Sqlite, type Statement } from 'bun:sqlite';
import { type InArgs, type InStatement, LibsqlError, type ResultSet, type Row } from '@libsql/core/api';
import { LruMap } from '../kernel/lru.ts';
import type { ConnectionOptions, Engine, EngineConnection } from './engine.ts';

/** Bun's own SQLite, prepared statements kept. The default for files: `docs/decisions/embedded-engine.md`. */
export const sqliteEngine: Engine = {
  name: 'sqlite',
  allowsManyProcesses: true,
  open: async (options) => openConnection(options),
};

interface Prepared {
  readonly statement: Statement;
  /** None for a statement that returns no rows. */
  readonly columns: string[];
}

/** How many prepared statements one connection keeps. */
const STATEMENT_CACHE = 500;

function openConnection({ path, isReadOnly }: ConnectionOptions): EngineConnection {
  const connection = new Sqlite(path, isReadOnly ? { readonly: true } : { create: true, readwrite: true });
  const dataVersion = connection.prepare('PRAGMA data_version');
  const prepared = new LruMap<string, Prepared>(STATEMENT_CACHE);

  const prepare = (sql: string): Prepared => {
    const kept = prepared.get(sql);
    if (kept) return kept;
    const statement = connection.prepare(sql);
    const fresh = { statement, columns: statement.columnNames };
    prepared.set(sql, fresh);
    return fresh;
  };

  return {
    async execute(input: InStatement): Promise<ResultSet> {
      const { sql, args } = typeof input === 'string' ? { sql: input, args: [] } : input;
      try {
        const { statement, columns } = prepare(sql);
        const values = toBindings(args);
        if (columns.length === 0) {
          const { changes, lastInsertRowid } = statement.run(...values);
          return toResult([], [], changes, BigInt(lastInsertRowid));
        }
        return toResult(columns, statement.values(...values) as unknown[][], 0, undefined);
      } catch (error) {
        throw toLibsqlError(error);
      }
    },
    dataVersion: () => (dataVersion.values()[0] as [number])[0],
    close: () => connection.close(),
  };
}

function toBindings(args: InArgs | undefined): never[] {
  if (args === undefined) return [];
  if (!Array.isArray(args)) throw new LibsqlError('named arguments are not offered', 'UNSUPPORTED');
  return args.map((value) => {
    if (typeof value === 'boolean') return value ? 1 : 0;
    if (value instanceof Date) return value.valueOf();
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    return value;
  }) as never[];
}

/** Rows are plain arrays, which is what drizzle maps from. */
function toResult(columns: string[], rows: unknown[][], rowsAffected: number, lastInsertRowid?: bigint): ResultSet {
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
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return error;
  if (!error.code.startsWith('SQLITE')) return error;
  const [base = error.code] = /^SQLITE_[A-Z]+/.exec(error.code) ?? [];
  const rawCode = 'errno' in error ? Number(error.errno) : undefined;
  return new LibsqlError(error.message, base, error.code, rawCode, error);
}
