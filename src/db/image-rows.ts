import { Database as Sqlite } from 'bun:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { mapDatabaseError } from './errors.ts';
import type { ImageFile } from './image-file.ts';

export interface RowQuery {
  /** An image without this table has no rows. */
  readonly table: string;
  readonly sql: string;
  readonly args: readonly string[];
}

/** After so many rows the event loop gets a turn, and with it what the native library wants freed. */
const TURN_ROWS = 500;

/** What both libraries offer here. */
interface RowReader {
  prepare(sql: string): {
    all(...args: string[]): unknown[];
    iterate(...args: string[]): IterableIterator<unknown>;
    finalize?(): void;
  };
  close(): void;
}

/** Rows one after the other, as of one moment, however many there are. Throws `database/*`. */
export async function* readRows<Row>(file: ImageFile, { table, sql, args }: RowQuery): AsyncGenerator<Row> {
  const reader = await openReader(file);
  try {
    const known = reader.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
    const exists = known.all(table).length > 0;
    known.finalize?.();
    if (!exists) return;
    const statement = reader.prepare(sql);
    try {
      let rows = 0;
      for (const row of statement.iterate(...args)) {
        yield row as Row;
        if (++rows % TURN_ROWS === 0) await nextTurn();
      }
    } finally {
      statement.finalize?.();
    }
  } catch (error) {
    throw mapDatabaseError(error);
  } finally {
    reader.close();
  }
}

async function openReader({ path, engine, encryptionKey }: ImageFile): Promise<RowReader> {
  if (engine === 'sqlite') return new Sqlite(path, { readonly: true }) as unknown as RowReader;
  const { default: Libsql } = await import('libsql');
  return new Libsql(path, (encryptionKey === undefined ? {} : { encryptionKey }) as object) as unknown as RowReader;
}
