import { Database as Sqlite, type Statement } from 'bun:sqlite';
import type { InStatement, ResultSet } from '@libsql/core/api';
import { LruMap } from '../kernel/lru.ts';
import type { ConnectionOptions, Engine, EngineConnection } from './engine.ts';
import { toBindings, toLibsqlError, toResult } from './engine-values.ts';

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
    close() {
      // A statement that is not finalized keeps the file open after its connection was closed.
      dataVersion.finalize();
      for (const { statement } of prepared.values()) statement.finalize();
      connection.close();
    },
  };
}
