import { type InArgs, LibsqlError, type ResultSet, type Row } from '@libsql/core/api';

/** Positional arguments as SQLite's libraries take them. */
export function toBindings(args: InArgs | undefined): never[] {
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
export function toResult(
  columns: string[],
  rows: unknown[][],
  rowsAffected: number,
  lastInsertRowid?: bigint,
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

/** An error of SQLite's as the libSQL client would throw it; another one as it is. */
export function toLibsqlError(error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return error;
  if (!error.code.startsWith('SQLITE')) return error;
  const [base = error.code] = /^SQLITE_[A-Z]+/.exec(error.code) ?? [];
  const rawCode = 'errno' in error ? Number(error.errno) : undefined;
  return new LibsqlError(error.message, base, error.code, rawCode, error);
}
