import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { InStatement } from '@libsql/core/api';
import { databaseProblems } from '../kernel/problems.ts';
import { ConstraintError, type Database, type Queries } from '../ports/database.ts';
import { asClient, type Engine, type EngineConnection } from './engine.ts';
import { mapDatabaseError } from './errors.ts';
import { toQueries } from './queries.ts';
import { sqliteEngine } from './sqlite-engine.ts';
import { createWalSync, type WalSync } from './wal-sync.ts';

const BUSY_TIMEOUT_MS = 5_000;
/** How many queued writes may share one commit. */
const GROUP_SIZE = 64;

interface Job {
  readonly work: (tx: Queries) => Promise<unknown>;
  /** Runs in a transaction of its own, in which foreign keys are not enforced. */
  readonly isMigration: boolean;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface EmbeddedOptions {
  readonly name: string;
  /** File path, or `:memory:`. */
  readonly path: string;
  readonly engine?: Engine;
  /** For an engine that can encrypt. */
  readonly encryptionKey?: string | undefined;
  /** How long a write waits for another process that holds the file. */
  readonly busyTimeoutMs?: number;
  /** What flushes the log at a path. */
  readonly openWalSync?: (path: string) => WalSync;
}

/**
 * A database in a file of ours (WAL mode), or in memory. One connection writes, another reads, so reads never wait.
 *
 * Writes that wait together share one commit, each in its own savepoint. The commit itself leaves the disk alone; the log is
 * then flushed off the event loop, and only after that do the writers hear that they are done.
 */
export async function openEmbeddedDatabase(options: EmbeddedOptions): Promise<Database> {
  const { name, path, engine = sqliteEngine, encryptionKey, busyTimeoutMs = BUSY_TIMEOUT_MS } = options;
  const { openWalSync = createWalSync } = options;
  const isMemory = path === ':memory:';
  if (!isMemory) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });

  const writer = await engine.open({ path, isReadOnly: false, encryptionKey });
  const setUp = [
    // Waiting inside SQLite would stop the event loop; `whenFree` waits outside.
    'PRAGMA busy_timeout = 0',
    ...(isMemory ? [] : ['PRAGMA journal_mode = WAL']),
    'PRAGMA synchronous = NORMAL',
    'PRAGMA foreign_keys = ON',
    'PRAGMA temp_store = MEMORY',
    // Pages of log after which a commit moves them into the database file: 16 MiB, so that it seldom has to.
    'PRAGMA wal_autocheckpoint = 4000',
    'PRAGMA cache_size = -16000',
  ];
  let reader: EngineConnection | null = null;
  try {
    for (const pragma of setUp) await whenFree(busyTimeoutMs, () => writer.execute(pragma));
    reader = isMemory ? null : await engine.open({ path, isReadOnly: true, encryptionKey });
    await reader?.execute('PRAGMA busy_timeout = 50');
    await reader?.execute('PRAGMA query_only = ON');
  } catch (error) {
    writer.close();
    throw mapDatabaseError(error);
  }
  const walSync = isMemory ? null : openWalSync(`${path}-wal`);

  const tx = toQueries(asClient(translated(writer)));
  const queue: Job[] = [];
  let draining: Promise<void> | null = null;
  let isClosed = false;
  let ownVersion = 0;
  /** Asked of SQLite once in a turn of the event loop; null when it has to be asked again. */
  let turnVersion: number | null = null;
  const forgetVersion = () => {
    turnVersion = null;
  };
  const readVersion = (connection: EngineConnection): number | null => {
    if (turnVersion !== null) return turnVersion;
    turnVersion = connection.dataVersion();
    if (turnVersion !== null) setImmediate(forgetVersion);
    return turnVersion;
  };

  /** Why nothing more may be written; null while all is well. */
  let fault: unknown = null;
  const breakDown = (error: unknown, jobs: Iterable<Job>) => {
    fault ??= error;
    for (const job of jobs) job.reject(mapDatabaseError(error));
  };

  /** The latest flush; fulfilled in any case. */
  let flushing: Promise<void> | null = null;
  const drain = async () => {
    while (queue.length > 0) {
      // Nobody would hear of a commit before the next flush: until that can begin, more may come to share it.
      if (queue.length < GROUP_SIZE) await flushing;
      const group = takeGroup(queue);
      if (fault === null) await runAndFlush(group);
      else breakDown(fault, group);
    }
    // In the same turn in which the queue was seen empty: a write that comes later starts a new round.
    draining = null;
  };

  const runAndFlush = async (group: readonly Job[]) => {
    const isMigration = group[0]?.isMigration ?? false;
    try {
      // A no-op inside a transaction, so it stands before.
      if (isMigration) await writer.execute('PRAGMA foreign_keys = OFF');
      await whenFree(busyTimeoutMs, () => writer.execute('BEGIN IMMEDIATE'));
    } catch (error) {
      if (isMigration) await enforceForeignKeys();
      for (const job of group) job.reject(mapDatabaseError(error));
      return;
    }
    const done = await runGroup(writer, tx, group);
    if (isMigration) await enforceForeignKeys();
    ownVersion++;
    forgetVersion();
    const settle = () => {
      for (const { job, value } of done) job.resolve(value);
    };
    if (!walSync) return settle();
    const fail = (error: unknown) =>
      breakDown(
        error,
        done.map(({ job }) => job),
      );
    // Each writer waits for the flush that began after its commit. A flush that failed may have dropped pages for good, and what is
    // written after it could not be recovered past the gap, however well the next flush goes.
    flushing = walSync.flush().then(() => (fault === null ? settle() : fail(fault)), fail);
  };

  /** Without it nothing more may be written. */
  const enforceForeignKeys = () =>
    writer.execute('PRAGMA foreign_keys = ON').then(
      () => undefined,
      (error: unknown) => breakDown(error, []),
    );

  const enqueue = <T>(work: (tx: Queries) => Promise<T>, isMigration: boolean): Promise<T> => {
    if (isClosed) return Promise.reject(databaseProblems.create('unavailable'));
    return new Promise<T>((resolve, reject) => {
      queue.push({ work, isMigration, resolve: resolve as (value: unknown) => void, reject });
      draining ??= drain();
    });
  };

  return {
    name,
    read: toQueries(asClient(translated(reader ?? afterWrites(writer, () => draining)))),
    write: (work) => enqueue(work, false),
    migrate: (statements) =>
      enqueue(async () => {
        for (const { sql, args = [] } of statements) await writer.execute({ sql, args: [...args] });
        const { rows } = await writer.execute('PRAGMA foreign_key_check');
        if (rows.length > 0) throw new ConstraintError('foreign-key');
      }, true),
    ...(isMemory ? {} : { snapshot: (target) => snapshot(engine, path, target, encryptionKey) }),
    version: () => (reader ? readVersion(reader) : ownVersion),
    async ping() {
      if (fault !== null) throw databaseProblems.create('unavailable', { cause: fault });
      await translated(reader ?? writer)('SELECT 1');
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      while (draining) await draining;
      await walSync?.close();
      reader?.close();
      writer.close();
    },
  };
}

/** Runs the jobs of one transaction and commits. Returns those that are committed; the others have been rejected. */
async function runGroup(
  writer: EngineConnection,
  tx: Queries,
  group: readonly Job[],
): Promise<{ job: Job; value: unknown }[]> {
  const done: { job: Job; value: unknown }[] = [];
  const abandon = async (error: unknown) => {
    const cause = mapDatabaseError(error);
    for (const job of group) job.reject(cause);
    // The transaction may be over already.
    await writer.execute('ROLLBACK').catch(() => undefined);
    return [];
  };
  // A write that has the transaction to itself is rolled back with it.
  const isAlone = group.length === 1;
  for (const job of group) {
    try {
      if (!isAlone) await writer.execute('SAVEPOINT job');
      const value = await job.work(tx);
      if (!isAlone) await writer.execute('RELEASE job');
      done.push({ job, value });
    } catch (error) {
      if (isAlone) return abandon(error);
      try {
        await writer.execute('ROLLBACK TO job');
        await writer.execute('RELEASE job');
      } catch {
        // SQLite ends the whole transaction by itself on a full disk or an I/O error (lang_transaction.html §3.2): none of
        // the group is committed, and none has heard that it was.
        return abandon(error);
      }
      job.reject(mapDatabaseError(error));
    }
  }
  try {
    await writer.execute('COMMIT');
  } catch (error) {
    return abandon(error);
  }
  return done;
}

/** The writes at the head of the queue that share a commit; a migration shares its with nobody. */
function takeGroup(queue: Job[]): Job[] {
  if (queue[0]?.isMigration) return queue.splice(0, 1);
  const next = queue.findIndex(({ isMigration }) => isMigration);
  return queue.splice(0, Math.min(GROUP_SIZE, next === -1 ? queue.length : next));
}

/** On a connection of its own, so that neither writer nor reader waits for it. */
async function snapshot(
  engine: Engine,
  path: string,
  target: string,
  encryptionKey: string | undefined,
): Promise<void> {
  const connection = await engine.open({ path, isReadOnly: true, encryptionKey });
  try {
    await connection.execute({ sql: 'VACUUM INTO ?', args: [target] });
  } catch (error) {
    throw mapDatabaseError(error);
  } finally {
    connection.close();
  }
}

/** Tries again while another process holds the file, without blocking the event loop. */
async function whenFree<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 25)) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error) || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^SQLITE_(BUSY|LOCKED)/.test(String(error.code));
}

type Execute = EngineConnection['execute'];

/** Translates what statements throw at the border. */
function translated(connection: Pick<EngineConnection, 'execute'>): Execute {
  return async (statement: InStatement) => {
    try {
      return await connection.execute(statement);
    } catch (error) {
      throw mapDatabaseError(error);
    }
  };
}

/** In memory there is one connection: a read waits until no transaction is open, so that it sees committed data only. */
function afterWrites(connection: EngineConnection, draining: () => Promise<void> | null) {
  return {
    async execute(statement: InStatement) {
      for (let busy = draining(); busy; busy = draining()) await busy;
      return connection.execute(statement);
    },
  };
}
