import type { InStatement, ResultSet } from '@libsql/core/api';
import { type Deadline, withDeadline } from './remote-deadline.ts';
import { isOutage, RemoteError } from './remote-errors.ts';
import {
  type Condition,
  type OpenStream,
  type Outcome,
  type Step,
  type Stream,
  takeResult,
  toChain,
  toWireStatement,
  type WireStatement,
} from './remote-hrana.ts';
import type { Link } from './remote-link.ts';

/** How long ending a transaction that failed may hold up the next one, in milliseconds. */
const ROLLBACK_MS = 1_000;
/** How long an answer is listened for after everybody stopped waiting for it, to end what it began. */
const PATIENCE_MS = 10_000;

/** Something that must hold at the server for a transaction to go on; asked in the request that begins it. */
export interface Fence {
  readonly statement: string;
  /** @throws when it does not hold. */
  check(outcome: Outcome): void;
}

/** One write transaction at the server. It begins with its first statement. */
export interface RemoteTransaction {
  /**
   * Runs statements in one request, up to the first that fails; calls take turns, whether or not they are awaited so.
   * @throws what the first failing statement failed with. The transaction goes on after an error of SQL alone.
   */
  execute(statements: readonly InStatement[]): Promise<ResultSet[]>;
  /** @throws RemoteError `unknown-outcome` when the server did not say what became of it. */
  commit(): Promise<void>;
  /** Ends it for good. Never rejects and never takes longer than a second. */
  rollBack(): Promise<void>;
  /** Whether COMMIT was sent: what becomes of it is then the server's word alone. */
  readonly isCommitSent: boolean;
}

export interface TransactionOptions {
  readonly openStream: OpenStream;
  readonly link: Link;
  readonly deadline: Deadline;
  readonly fence?: Fence | null;
  /** Run before the transaction begins. */
  readonly preamble?: readonly string[];
}

/** The server may have rolled back by itself; what follows must then not run outside the transaction. */
const IN_TRANSACTION: Condition = { type: 'not', cond: { type: 'is_autocommit' } };

export function createTransaction(options: TransactionOptions): RemoteTransaction {
  const { openStream, link, deadline, fence = null, preamble = [] } = options;
  const opening = [...preamble, 'BEGIN IMMEDIATE', ...(fence ? [fence.statement] : [])].map(toWireStatement);
  const patience = new AbortController();
  let stream: Stream | null = null;
  /** Set once the transaction cannot go on: it must not be committed, whatever `work` makes of the error. */
  let fault: unknown = null;
  let isCommitSent = false;
  let tail: Promise<unknown> = Promise.resolve();
  let underWay: Promise<unknown> = Promise.resolve();

  /**
   * The caller stops waiting at the deadline, the request does not: only its answer names the stream, and a server that is told
   * nothing keeps the write lock for the stream until it expires.
   */
  const send = (open: Stream, steps: readonly Step[], isLast = false): Promise<Outcome[]> => {
    const running = open.run(steps, { signal: patience.signal, isLast });
    underWay = running.catch(() => undefined);
    return deadline.race(running);
  };

  /** Nothing is changed before COMMIT, so a beginning whose answer was lost is repeated on a stream of its own. */
  const begin = (statements: readonly WireStatement[]) =>
    link.repeatable(deadline, async () => {
      stream = openStream();
      const outcomes = await send(stream, toChain([...opening, ...statements]));
      const opened = outcomes.splice(0, opening.length);
      const fenced = fence ? opened.pop() : null;
      for (const outcome of opened) takeResult(outcome);
      if (fence) fence.check(fenced ?? null);
      return outcomes;
    });

  const run = async (statements: readonly WireStatement[]): Promise<ResultSet[]> => {
    if (deadline.signal.aborted) fault ??= new RemoteError('timeout');
    if (fault) throw fault;
    let outcomes: Outcome[];
    try {
      const open = stream;
      outcomes = open
        ? await link.call(() => send(open, toChain(statements, IN_TRANSACTION)))
        : await begin(statements);
    } catch (error) {
      fault = error;
      throw error;
    }
    return outcomes.map((outcome) => {
      if (outcome === null || outcome instanceof RemoteError) fault = outcome ?? new RemoteError('lost');
      return takeResult(outcome);
    });
  };

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = tail.then(work);
    tail = turn.catch(() => undefined);
    return turn;
  };

  return {
    async execute(statements) {
      const wired = statements.map(toWireStatement);
      return inTurn(() => run(wired));
    },
    commit: () =>
      inTurn(async () => {
        if (fault) throw fault;
        if (!stream) return;
        const open = stream;
        stream = null;
        const commit = { statement: toWireStatement('COMMIT'), condition: IN_TRANSACTION };
        let outcomes: Outcome[];
        try {
          outcomes = await link.call(() => {
            isCommitSent = true;
            return send(open, [commit], true);
          });
        } catch (error) {
          // The platform repeats a request whose kept-alive connection closed, so even "no such stream" proves nothing.
          throw error instanceof RemoteError && isCommitSent ? unknownOutcome(error) : error;
        }
        takeResult(outcomes[0] ?? null);
      }),
    async rollBack() {
      const open = stream;
      stream = null;
      fault ??= new RemoteError('lost');
      const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
      const ending = underWay
        .then(() => open?.end(patience.signal))
        .catch(() => undefined)
        .finally(() => clearTimeout(timer));
      // Nobody waits for a server that does not answer; one whose connection broke may well answer on the next.
      const isBroken = fault instanceof RemoteError && fault.fault === 'broken';
      if (deadline.signal.aborted || (isOutage(fault) && !isBroken)) return;
      await withDeadline(ROLLBACK_MS, () => ending).catch(() => undefined);
    },
    get isCommitSent() {
      return isCommitSent;
    },
  };
}

/** What a commit failed with when its answer did not come. */
export function unknownOutcome({ code, fault }: RemoteError): RemoteError {
  return new RemoteError('unknown-outcome', code ?? fault);
}
