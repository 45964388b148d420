import { existsSync } from 'node:fs';
import type { InStatement, ResultSet } from '@libsql/core/api';
import { databaseProblems } from '../kernel/problems.ts';
import type { EngineConnection } from './engine.ts';
import { mapDatabaseError } from './errors.ts';
import { sqliteEngine } from './sqlite-engine.ts';

/** How often a read is tried while the syncing process holds the file, and the pause between, in milliseconds. */
const BUSY_ATTEMPTS = 20;
const BUSY_PAUSE_MS = 5;

/**
 * The replica's file, read by this process and written by the syncing one. A read sees one committed state of the primary. Bun's
 * SQLite reads it: the locks of two processes do not undo each other, as those of two libraries in one process would.
 */
export interface ReplicaFile {
  readonly isOpen: boolean;
  /**
   * Takes a new connection, which knows nothing of what was there before; the first one too. Without a file, or when it is
   * damaged, `isOpen` is false afterwards.
   */
  reopen(): Promise<void>;
  /** @returns null when the file cannot be read now. @throws what SQL says, translated. */
  execute(statement: InStatement): Promise<ResultSet | null>;
  /** As `Database.version`; numbers of different connections differ. */
  version(): number | null;
  close(): void;
}

/** @param onDamage hears once that the file is damaged; it is not read again. */
export function createReplicaFile(path: string, onDamage: (error: unknown) => void): ReplicaFile {
  let connection: EngineConnection | null = null;
  let opened = 0;
  let isDamaged = false;

  const drop = () => {
    connection?.close();
    connection = null;
  };

  /** Whether the error is the file's and not the statement's. */
  const isUnreadable = (error: unknown): boolean => {
    const mapped = mapDatabaseError(error);
    if (databaseProblems.is(mapped, 'corrupt')) {
      drop();
      if (!isDamaged) onDamage(mapped);
      isDamaged = true;
      return true;
    }
    return databaseProblems.is(mapped, 'busy') || databaseProblems.is(mapped, 'unavailable');
  };

  const connect = async () => {
    if (isDamaged || !existsSync(path)) return null;
    let fresh: EngineConnection | null = null;
    try {
      fresh = await sqliteEngine.open({ path, isReadOnly: true });
      // Waiting inside SQLite would stop the event loop.
      await fresh.execute('PRAGMA busy_timeout = 0');
      await fresh.execute('SELECT 1 FROM sqlite_schema LIMIT 1');
      return fresh;
    } catch (error) {
      fresh?.close();
      if (isUnreadable(error)) return null;
      throw mapDatabaseError(error);
    }
  };

  return {
    get isOpen() {
      return connection !== null;
    },
    async reopen() {
      drop();
      const fresh = await connect();
      drop();
      connection = fresh;
      opened++;
    },
    async execute(statement) {
      for (let attempt = 1; connection; attempt++) {
        try {
          return await connection.execute(statement);
        } catch (error) {
          if (!isUnreadable(error)) throw mapDatabaseError(error);
          if (attempt === BUSY_ATTEMPTS) return null;
          await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS));
        }
      }
      return null;
    },
    version() {
      const version = connection?.dataVersion() ?? null;
      return version === null ? null : opened * 2 ** 32 + version;
    },
    close: drop,
  };
}
