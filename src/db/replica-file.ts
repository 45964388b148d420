import { existsSync, rmSync, writeFileSync } from 'node:fs';
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
   * Whether there is something to read. A replica is made by going through the whole history of its primary, so until that was
   * done once its file holds states of long ago; a file beside it says that it was.
   */
  readonly isWhole: boolean;
  /** Notes that the file has caught up with the primary, and takes a new connection. */
  adopt(): Promise<void>;
  /** Takes a new connection, which knows nothing of what was there before; the first one too. Does nothing while not whole. */
  reopen(): Promise<void>;
  /** @returns null when the file cannot be read now. @throws what SQL says, translated. */
  execute(statement: InStatement): Promise<ResultSet | null>;
  /** As `Database.version`; numbers of different connections differ. */
  version(): number | null;
  close(): void;
}

/** What libSQL and SQLite keep beside a replica, and the mark of ours. */
const BESIDE = ['-client_wal_index', '-wal', '-shm', '-whole'];

/** @param onDamage hears once that the file is damaged; it is not read again. */
export function createReplicaFile(path: string, onDamage: (error: unknown) => void): ReplicaFile {
  let connection: EngineConnection | null = null;
  let opened = 0;
  let isDamaged = false;
  const mark = `${path}-whole`;
  // What belongs to a file that is gone would make its successor begin in the middle.
  if (!existsSync(path)) for (const suffix of BESIDE) rmSync(`${path}${suffix}`, { force: true });
  let isWhole = existsSync(mark);

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
    if (isDamaged || !isWhole) return null;
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

  const reopen = async () => {
    drop();
    const fresh = await connect();
    drop();
    connection = fresh;
    opened++;
  };

  return {
    get isOpen() {
      return connection !== null;
    },
    get isWhole() {
      return isWhole && !isDamaged;
    },
    async adopt() {
      if (!isWhole && existsSync(path)) {
        writeFileSync(mark, '');
        isWhole = true;
      }
      await reopen();
    },
    reopen,
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
