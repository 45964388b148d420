import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Client } from '@libsql/core/api';

import { databaseProblems } from '../kernel/problems.ts';
import type { Database, Queries } from '../ports/database.ts';
import { mapDatabaseError } from './errors.ts';
import { toQueries } from './queries.ts';
import { openSqliteClient, type SqliteClient } from './sqlite-client.ts';
import { createWalSync } from './wal-sync.ts';

/** How long a write waits for another process that holds the file, in milliseconds. */
const BUSY_DEADLINE_MS = 5_000;
/** How many queued writes may share one commit. */
const GROUP_SIZE = 64;

interface Job {
  readonly work: (tx: Queries) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface EmbeddedOptions {
  readonly name: string;
  /** File path, or `:memory:`. */
  readonly path: string;
}

/**
 * A database in a file of ours (WAL mode), or in memory. One connection writes, another reads, so reads never wait.
 *
 * Writes that wait together share one commit, each in its own savepoint. The commit itself leaves the disk alone; the log is
 * then flushed off the event loop, and only after that do the writers hear that they are done.
 */
export function openEmbeddedDatabase({ name, path }: EmbeddedOptions): Database {
  const isMemory = path === ':memory:';
  if (!isMemory) mkdirSync(dirname(path), { recursive: true });

  const writer = openSqliteClient(path);
  for (const pragma of [
    'PRAGMA busy_timeout = 0',
    ...(isMemory ? [] : ['PRAGMA journal_mode = WAL']),
    'PRAGMA synchronous = NORMAL',
    'PRAGMA foreign_keys = ON',
    'PRAGMA temp_store = MEMORY',
    'PRAGMA cache_size = -16000',
  ]) {
    retryWhileBusyNow(() => writer.executeNow(pragma));
  }
  const reader = isMemory ? null : openSqliteClient(path, { isReadOnly: true });
  reader?.executeNow('PRAGMA busy_timeout = 1000');
  const walSync = isMemory ? null : createWalSync(`${path}-wal`);

  const tx = toQueries(mapped(writer));
  const queue: Job[] = [];
  let draining: Promise<void> | null = null;
  let isClosed = false;
  let memoryVersion = 0;

  const drain = async () => {
    while (queue.length > 0) {
      const group = queue.splice(0, GROUP_SIZE);
      try {
        await beginWhenFree(writer);
      } catch (error) {
        for (const job of group) job.reject(mapDatabaseError(error));
        continue;
      }
      const done = await runGroup(writer, tx, group);
      memoryVersion++;
      // Flushing overlaps with the next group; each writer waits for the flush that began after its commit.
      const settle = () => {
        for (const { job, value } of done) job.resolve(value);
      };
      if (walSync) {
        walSync.flush().then(settle, (error) => {
          for (const { job } of done) job.reject(mapDatabaseError(error));
        });
      } else settle();
    }
    // In the same turn in which the queue was seen empty: a write that comes later starts a new round.
    draining = null;
  };

  return {
    name,
    read: toQueries(reader ? mapped(reader) : afterWrites(mapped(writer), () => draining)),
    write<T>(work: (tx: Queries) => Promise<T>): Promise<T> {
      if (isClosed) return Promise.reject(databaseProblems.create('unavailable'));
      return new Promise<T>((resolve, reject) => {
        queue.push({ work, resolve: resolve as (value: unknown) => void, reject });
        draining ??= drain();
      });
    },
    version() {
      return reader ? reader.dataVersion() : memoryVersion;
    },
    async ping() {
      (reader ?? writer).executeNow('SELECT 1');
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
  writer: SqliteClient,
  tx: Queries,
  group: readonly Job[],
): Promise<{ job: Job; value: unknown }[]> {
  let done: { job: Job; value: unknown }[] = [];
  const rejectAll = (error: unknown) => {
    for (const { job } of done) job.reject(error);
    done = [];
  };
  for (const job of group) {
    try {
      writer.executeNow('SAVEPOINT job');
      const value = await job.work(tx);
      writer.executeNow('RELEASE job');
      done.push({ job, value });
    } catch (error) {
      job.reject(mapDatabaseError(error));
      try {
        writer.executeNow('ROLLBACK TO job');
        writer.executeNow('RELEASE job');
      } catch {
        // SQLite ends the whole transaction by itself on a full disk or an I/O error (lang_transaction.html §3.2): none of
        // the group is committed, and none has heard that it was.
        const cause = mapDatabaseError(error);
        for (const each of group) each.reject(cause);
        rollBackIfOpen(writer);
        return [];
      }
    }
  }
  try {
    writer.executeNow('COMMIT');
  } catch (error) {
    rejectAll(mapDatabaseError(error));
    rollBackIfOpen(writer);
  }
  return done;
}

function rollBackIfOpen(writer: SqliteClient): void {
  try {
    writer.executeNow('ROLLBACK');
  } catch {
    // The transaction is over already.
  }
}

/** Begins a write transaction; while another process holds the file it waits without blocking the event loop. */
async function beginWhenFree(writer: SqliteClient): Promise<void> {
  const deadline = Date.now() + BUSY_DEADLINE_MS;
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 25)) {
    try {
      writer.executeNow('BEGIN IMMEDIATE');
      return;
    } catch (error) {
      if (!isBusy(error) || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

/** For the few statements at opening, where nothing else runs yet. */
function retryWhileBusyNow(work: () => void): void {
  const deadline = Date.now() + BUSY_DEADLINE_MS;
  for (;;) {
    try {
      work();
      return;
    } catch (error) {
      if (!isBusy(error) || Date.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^SQLITE_(BUSY|LOCKED)/.test(String(error.code));
}

/** Translates what statements throw at the border. */
function mapped(client: SqliteClient): Client {
  return {
    ...client,
    execute: async (statement: Parameters<SqliteClient['executeNow']>[0]) => {
      try {
        return client.executeNow(statement);
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
  } as Client;
}

/** In memory there is one connection: a read waits until no transaction is open, so that it sees committed data only. */
function afterWrites(client: Client, draining: () => Promise<void> | null): Client {
  return {
    ...client,
    execute: async (statement: Parameters<Client['execute']>[0]) => {
      for (let busy = draining(); busy; busy = draining()) await busy;
      return client.execute(statement);
    },
  } as Client;
}
