import type { Engine } from './engine.ts';

/**
 * The native libSQL client, for what only it has in files: vector search and encryption. It is synchronous, and built on a
 * SQLite in which two processes must not write to one file (`docs/decisions/embedded-engine.md`). Loaded when it is asked for.
 */
export const libsqlEngine: Engine = {
  name: 'libsql',
  allowsManyProcesses: false,
  async open({ path, encryptionKey }) {
    const { createClient } = await import('@libsql/client/sqlite3');
    const client = createClient({
      url: path === ':memory:' ? path : `file:${path}`,
      // Settings made by PRAGMA hold for one connection only.
      concurrency: 1,
      ...(encryptionKey === undefined ? {} : { encryptionKey }),
    });
    return {
      execute: (statement) => client.execute(statement),
      dataVersion: () => null,
      close: () => client.close(),
    };
  },
};
