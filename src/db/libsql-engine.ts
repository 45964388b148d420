import { databaseProblems } from '../kernel/problems.ts';
import type { Engine } from './engine.ts';
import { toBindings, toLibsqlError, toResult } from './engine-values.ts';

/**
 * The native libSQL library, for what only it has in files: vector search and encryption. It is built on a SQLite in which two
 * processes must not write to one file (`docs/decisions/embedded-engine.md`). Loaded when it is asked for.
 */
export const libsqlEngine: Engine = {
  name: 'libsql',
  allowsManyProcesses: false,
  async open({ path, encryptionKey }) {
    const { default: Libsql } = await import('libsql');
    // The types leave the key out.
    const connection = new Libsql(path, (encryptionKey === undefined ? {} : { encryptionKey }) as object);
    return {
      async execute(statement) {
        const { sql, args } = typeof statement === 'string' ? { sql: statement, args: [] } : statement;
        try {
          const prepared = connection.prepare(sql);
          const bindings = toBindings(args);
          // The library gives such a text back only up to there.
          if (bindings.some(holdsNul)) throw databaseProblems.create('unsupported-value');
          if (!prepared.reader) {
            const { changes, lastInsertRowid } = prepared.run(bindings);
            return toResult([], [], changes, BigInt(lastInsertRowid));
          }
          const columns = prepared.columns().map(({ name }) => name);
          return toResult(columns, prepared.raw().all(bindings) as unknown[][], 0);
        } catch (error) {
          throw toLibsqlError(error);
        }
      },
      dataVersion: () => null,
      close: () => connection.close(),
    };
  },
};

function holdsNul(value: unknown): boolean {
  return typeof value === 'string' && value.includes('\0');
}
