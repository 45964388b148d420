import { type InStatement, LibsqlError, type ResultSet } from '@libsql/core/api';
import { databaseProblems } from '../kernel/problems.ts';
import { createSemaphore } from '../kernel/semaphore.ts';
import { type Clock, systemClock } from '../ports/clock.ts';
import { ConstraintError, type Database, type Queries } from '../ports/database.ts';
import type { Logger } from '../ports/logger.ts';
import { asClient } from './engine.ts';
import { toQueries } from './queries.ts';
import { parseRemoteAddress } from './remote-address.ts';
import { type Deadline, withDeadline } from './remote-deadline.ts';
import { mapRemoteError, RemoteError } from './remote-errors.ts';
import { createHrana, takeResult, toChain, toWireStatement, type WireStatement } from './remote-hrana.ts';
import { createLink } from './remote-link.ts';
import { createTransaction, type Fence, type RemoteTransaction, unknownOutcome } from './remote-transaction.ts';
import { createTurns } from './remote-turns.ts';

/** How long a read, or a transaction from its first statement to its commit, may take unless said, in milliseconds. */
const DEADLINE_MS = 5_000;
/** How long a migration may take. */
const MIGRATION_MS = 120_000;
/** How long the answer to a health check is waited for. */
const PING_MS = 2_000;
/** How many reads are under way at once, and how many may wait. */
const READS_AT_ONCE = 32;
const READS_WAITING = 1_000;

export interface RemoteOptions {
  readonly name: string;
  /** `libsql:`, `https:`, `http:`, `wss:` or `ws:`; a token may stand in its `?authToken=`. */
  readonly url: string;
  readonly authToken?: string | undefined;
  readonly log: Logger;
  readonly clock?: Clock;
  /** For one read, and for one transaction from its first statement to its commit; a turn to write is waited for twice as long. */
  readonly deadlineMs?: number;
  /** Must hold for each read and each write; asked in the same request. */
  readonly fence?: () => Fence | null;
}

export interface RemoteDatabase extends Database {
  /** Whether the server did not answer the last calls, so that calls fail at once for a while. */
  readonly isDown: boolean;
  /** One read with its own deadline in milliseconds. Rejects with the same types as `read`, unwrapped. */
  query(statement: InStatement, deadlineMs?: number): Promise<ResultSet>;
}

/**
 * A database on a libSQL server (sqld, Turso), over HTTP. Opening calls nobody.
 *
 * Every call ends by its deadline. Reads and the beginning of a transaction are repeated when the connection breaks; a commit is
 * not: when its answer is lost the caller hears that the outcome is unknown. After several outages in a row calls fail at once
 * until the server answers again. Writes of this process take turns.
 * @throws TypeError when the address cannot be one.
 */
export function openRemoteDatabase(options: RemoteOptions): RemoteDatabase {
  const { name, log, clock = systemClock, deadlineMs = DEADLINE_MS, fence } = options;
  const address = parseRemoteAddress(options.url);
  const openStream = createHrana(address, options.authToken ?? address.authToken);
  const link = createLink({ name, host: address.url.host, clock, log });
  const reads = createSemaphore(READS_AT_ONCE, READS_WAITING);
  const turns = createTurns(deadlineMs * 2);
  let isClosed = false;

  const read = (statement: WireStatement, deadline: Deadline): Promise<ResultSet> =>
    link.repeatable(deadline, async () => {
      if (deadline.signal.aborted) throw new RemoteError('timeout');
      const condition = fence?.() ?? null;
      const steps = toChain([BEGIN_READ, ...(condition ? [toWireStatement(condition.statement)] : []), statement]);
      const outcomes = await openStream().run(steps, { signal: deadline.signal, isLast: true });
      takeResult(outcomes[0] ?? null);
      if (condition) condition.check(outcomes[1] ?? null);
      const outcome = takeResult(outcomes.at(-1) ?? null);
      if (outcome.rowsAffected > 0) throw readOnlyError();
      return outcome;
    });

  const query = async (statement: InStatement, ms = deadlineMs): Promise<ResultSet> => {
    try {
      if (isClosed) throw databaseProblems.create('unavailable');
      const wired = toWireStatement(statement);
      if (!READS.test(wired.sql)) throw readOnlyError();
      return await withDeadline(ms, (deadline) => {
        const running = reads.run(() => read(wired, deadline));
        if (!running) throw databaseProblems.create('busy', { retryAfterSeconds: 1 });
        return running;
      });
    } catch (error) {
      throw mapRemoteError(error);
    }
  };

  const transact = async <T>(
    work: (transaction: RemoteTransaction) => Promise<T>,
    ms: number,
    preamble: readonly string[] = [],
  ): Promise<T> => {
    if (isClosed) throw databaseProblems.create('unavailable');
    try {
      return await turns.take(async () => {
        let transaction: RemoteTransaction | undefined;
        try {
          return await withDeadline(ms, async (deadline) => {
            transaction = createTransaction({ openStream, link, deadline, fence: fence?.() ?? null, preamble });
            const value = await work(transaction);
            await transaction.commit();
            return value;
          });
        } catch (error) {
          await transaction?.rollBack();
          const isTooLate = error instanceof RemoteError && error.fault === 'timeout' && transaction?.isCommitSent;
          throw isTooLate ? unknownOutcome(error) : error;
        }
      });
    } catch (error) {
      throw mapRemoteError(error);
    }
  };

  return {
    name,
    read: toQueries(asClient((statement) => query(statement))),
    query,
    write: (work: (tx: Queries) => Promise<unknown>) =>
      transact((transaction) => work(toQueries(asClient(one(transaction)))), deadlineMs) as never,
    async migrate(statements) {
      await transact(
        async (transaction) => {
          const list = statements.map(({ sql, args = [] }) => ({ sql, args: [...args] }));
          const results = await transaction.execute([...list, 'PRAGMA foreign_key_check']);
          if ((results.at(-1)?.rows.length ?? 0) > 0) throw new ConstraintError('foreign-key');
        },
        MIGRATION_MS,
        ['PRAGMA foreign_keys = OFF'],
      );
    },
    version: () => null,
    async ping() {
      await query('SELECT 1', Math.min(PING_MS, deadlineMs));
    },
    async close() {
      isClosed = true;
      await turns.idle();
    },
    get isDown() {
      return link.isDown;
    },
  };
}

/** A transaction that is never committed, and that the server does not lock anything for. */
const BEGIN_READ = toWireStatement('BEGIN TRANSACTION READONLY');

/** What a statement that only reads begins with. */
const READS = /^\s*(?:select|with|values|explain|pragma)\b/i;

function readOnlyError(): LibsqlError {
  return new LibsqlError('attempt to write through Database.read', 'SQLITE_READONLY');
}

/** What drizzle asks of a transaction's client. Errors go out translated, so that `work` meets the same types everywhere. */
function one(transaction: RemoteTransaction): (statement: InStatement) => Promise<ResultSet> {
  return async (statement) => {
    try {
      const [result] = await transaction.execute([statement]);
      return result as ResultSet;
    } catch (error) {
      throw mapRemoteError(error);
    }
  };
}
