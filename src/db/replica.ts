import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { InStatement, ResultSet } from '@libsql/core/api';
import { AppError } from '../kernel/errors.ts';
import type { Events } from '../kernel/events.ts';
import { databaseProblems } from '../kernel/problems.ts';
import { type Clock, systemClock } from '../ports/clock.ts';
import type { Database } from '../ports/database.ts';
import type { Logger } from '../ports/logger.ts';
import { asClient } from './engine.ts';
import { toQueries } from './queries.ts';
import { openRemoteDatabase } from './remote.ts';
import { parseRemoteAddress } from './remote-address.ts';
import { mapRemoteError, RemoteError } from './remote-errors.ts';
import type { Outcome } from './remote-hrana.ts';
import { createReplicaFile } from './replica-file.ts';
import { startReplicaGuard } from './replica-guard.ts';
import { createIdentity, isExpected, READ_IDENTITY, readIdentity, toIdentity } from './replica-identity.ts';
import { startReplicaProcess } from './replica-process.ts';
import { createReplicaSync, type ReplicaLag } from './replica-sync.ts';

/** How long one call to the primary may take unless said, in milliseconds. */
const DEADLINE_MS = 5_000;
/** How often the primary is asked for what others wrote. */
const INTERVAL_MS = 500;
/** How long a write waits until its own replica has it. */
const CATCH_UP_MS = 1_000;
/** How long a read that the replica is too old for waits for the primary before it takes the older state. */
const PRIMARY_READ_MS = 1_000;

export interface ReplicaOptions {
  readonly name: string;
  /** The replica's file; nothing but this process and its syncing process may open it. */
  readonly path: string;
  readonly remote: { readonly url: string; readonly authToken?: string | undefined };
  readonly log: Logger;
  readonly clock?: Clock;
  readonly deadlineMs?: number;
  readonly syncIntervalMs?: number;
  readonly catchUpMs?: number;
  /** Told when somebody has to act: the primary lost its data, or the replica's file is damaged. */
  readonly onAlert?: (alert: Events['alerts/raised']) => void;
}

export interface ReplicaStatus extends ReplicaLag {
  /**
   * `current`: reads are local. `starting`: there is no replica yet. `behind`: reads go to the primary until the replica has
   * caught up. `offline`: the primary does not answer; reads are local and writes fail. `replaced`: as `offline`, because the
   * primary is not the database that this is a replica of. `damaged`: the replica cannot be read; all goes to the primary.
   */
  readonly state: 'current' | 'starting' | 'behind' | 'offline' | 'replaced' | 'damaged';
}

export interface ReplicaDatabase extends Database {
  status(): ReplicaStatus;
  /** Of the syncing process; null while it is being started again. */
  readonly syncPid: number | null;
}

/**
 * A database on a libSQL server with a copy of it in a local file. Reads come from the file, writes go to the primary. Resolves
 * when the file can be read or the primary has had its time; neither is needed.
 *
 * A write resolves when the copy has it, so that every later read of this process sees it. When that takes too long reads go to
 * the primary until it has, or take the older state if the primary does not answer. What others write arrives within the
 * interval, and before a write rejects that clashed with it.
 */
export async function openReplicaDatabase(options: ReplicaOptions): Promise<ReplicaDatabase> {
  const { name, log, clock = systemClock, deadlineMs = DEADLINE_MS, onAlert } = options;
  const path = resolve(options.path);
  const address = parseRemoteAddress(options.remote.url);
  const authToken = options.remote.authToken ?? address.authToken;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });

  let identity: string | null = null;
  let isReplaced = false;
  let isDamaged = false;

  const raise = (alert: string, message: string) => {
    log.error({ database: name }, message);
    onAlert?.({ name: `${alert}:${name}`, message, severity: 'critical' });
  };
  const file = createReplicaFile(path, (error) => {
    isDamaged = true;
    log.error({ database: name, err: error }, 'the file of the replica cannot be read');
    raise('replica-damaged', `The replica of database ${name} is damaged. Stop, delete its files and start again.`);
  });
  const judge = (outcome: Outcome, expected: string) => {
    if (isExpected(outcome, expected)) return;
    guard.forget();
    if (!isReplaced)
      raise('replica-primary-replaced', `The primary of database ${name} lost its data or is another one.`);
    isReplaced = true;
    throw new RemoteError('replaced');
  };

  const primary = openRemoteDatabase({
    name,
    url: options.remote.url,
    authToken: options.remote.authToken,
    log,
    clock,
    deadlineMs,
    fence() {
      const expected = identity;
      if (expected === null) return null;
      return { statement: READ_IDENTITY, check: (outcome) => judge(outcome, expected) };
    },
  });

  /** Lets a primary in whose data may come over this replica's. A replica that has none takes the first one it meets. */
  const admit = async () => {
    if (identity === null) {
      identity =
        (await readIdentity(primary, deadlineMs)) ?? (await createIdentity(primary, deadlineMs).catch(withoutIdentity));
      return;
    }
    // The fence judges, as it does for every other call.
    await primary.query(READ_IDENTITY, deadlineMs);
    if (isReplaced) log.info({ database: name }, 'the primary of the replica is the right one again');
    isReplaced = false;
  };
  const withoutIdentity = (error: unknown) => {
    if (!(error instanceof AppError && error.cause instanceof RemoteError && error.cause.fault === 'denied'))
      throw error;
    log.warn({ database: name }, 'the token may not write: that the primary lost its data will not be noticed');
    return null;
  };

  await file.reopen();
  const known = await file.execute(READ_IDENTITY).catch(() => null);
  identity = known && toIdentity(known.rows);

  const guard = startReplicaGuard({
    address,
    authToken,
    deadlineMs,
    admit,
    onHandshake: (handshake) => sync.onHandshake(handshake),
  });
  const process = startReplicaProcess({ name, path, url: guard.url, authToken: guard.authToken, log });
  const sync = createReplicaSync({
    name,
    process,
    file,
    log,
    intervalMs: options.syncIntervalMs ?? INTERVAL_MS,
    catchUpMs: options.catchUpMs ?? CATCH_UP_MS,
    lastActivityAt: () => guard.lastActivityAt,
  });
  if (!file.isOpen) await sync.first(deadlineMs);

  const read = async (statement: InStatement): Promise<ResultSet> => {
    if (!isReplaced && (!sync.isCurrent || !file.isOpen)) {
      try {
        return await primary.query(statement, file.isWhole ? Math.min(PRIMARY_READ_MS, deadlineMs) : deadlineMs);
      } catch (error) {
        if (!file.isWhole || !(error instanceof AppError)) throw error;
      }
    }
    // While the file is made anew, what a connection knows of it may be wrong by now.
    if (sync.isResyncing || !file.isOpen) await file.reopen();
    return (await file.execute(statement)) ?? primary.query(statement);
  };
  const written = async <T>(work: () => Promise<T>): Promise<T> => {
    if (isReplaced) throw mapRemoteError(new RemoteError('replaced'));
    try {
      const value = await work();
      await sync.catchUp();
      return value;
    } catch (error) {
      // What it met at the primary another machine may have written, and its caller is going to look for that.
      const hasMet = !(['unavailable', 'unknown-outcome', 'busy'] as const).some((name) =>
        databaseProblems.is(error, name),
      );
      if (hasMet) await sync.catchUp();
      throw error;
    }
  };

  return {
    name,
    read: toQueries(asClient(read)),
    write: (work) => written(() => primary.write(work)),
    migrate: (statements) => written(() => primary.migrate(statements)),
    version: () => (sync.isCurrent && !isReplaced ? file.version() : null),
    async ping() {
      if (!(await file.execute('SELECT 1'))) await primary.ping();
    },
    status: () => ({ state: stateOf(), ...sync.lag() }),
    get syncPid() {
      return process.pid;
    },
    async close() {
      await primary.close();
      await sync.close();
      await process.close();
      await guard.stop();
      file.close();
    },
  };

  function stateOf(): ReplicaStatus['state'] {
    if (isReplaced) return 'replaced';
    if (isDamaged) return 'damaged';
    if (!file.isWhole) return 'starting';
    if (sync.isFailing || primary.isDown) return 'offline';
    return sync.isCurrent ? 'current' : 'behind';
  }
}
