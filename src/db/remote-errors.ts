import { LibsqlError } from '@libsql/core/api';
import { AppError } from '../kernel/errors.ts';
import { databaseProblems } from '../kernel/problems.ts';
import { mapDatabaseError } from './errors.ts';

/** Why a remote database did not do what was asked, apart from what SQL itself says. */
export type RemoteFault =
  /** No connection could be made. */
  | 'refused'
  /** The connection broke, or the answer was cut off. */
  | 'broken'
  /** No answer before the deadline. */
  | 'timeout'
  /** The token is wrong, has expired or does not allow this. */
  | 'denied'
  /** The server has no database of that name. */
  | 'missing'
  /** The server, or a proxy before it, answered that it cannot answer. */
  | 'failing'
  /** The server asks for less. */
  | 'overloaded'
  /** The server gave up the transaction. */
  | 'lost'
  /** The answer is not what the protocol says. */
  | 'protocol'
  /** It is not the database that it was: its data is gone, or it is another one. */
  | 'replaced'
  /** COMMIT was sent and nothing came back. */
  | 'unknown-outcome';

const MESSAGES: Readonly<Record<RemoteFault, string>> = {
  refused: 'no connection to the database server',
  broken: 'the connection to the database server broke',
  timeout: 'the database server did not answer in time',
  denied: 'the database server refused the token, or what it may do',
  missing: 'the database server has no database at this address',
  failing: 'the database server answered that it cannot answer',
  overloaded: 'the database server asks for fewer requests',
  lost: 'the database server gave up the transaction',
  protocol: 'the database server answered something that is not the Hrana protocol',
  replaced: 'the database server has lost its data or holds another database',
  'unknown-outcome': 'the database server did not confirm the commit',
};

/** For the log: it holds no SQL, no parameter, no token and no answer of the server but its status and code. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly fault: RemoteFault;
  /** Status of the answer, or a code of the platform or the server. */
  readonly code: string | undefined;

  constructor(fault: RemoteFault, code?: string) {
    super(code === undefined ? MESSAGES[fault] : `${MESSAGES[fault]} (${code})`);
    this.fault = fault;
    this.code = code;
  }
}

/** Whether the fault says that nobody is there, rather than that somebody said no. */
export function isOutage(error: unknown): boolean {
  return error instanceof RemoteError && ['refused', 'broken', 'timeout', 'failing'].includes(error.fault);
}

/** Whether the same request may be answered a moment later. A deadline that has passed leaves no moment. */
export function isTransient(error: unknown): boolean {
  return isOutage(error) && (error as RemoteError).fault !== 'timeout';
}

/** What `fetch` rejected with, as our own: the original's fields hold the address. */
export function fromFetchError(error: unknown): RemoteError {
  const name = error instanceof Error ? error.name : '';
  if (name === 'AbortError' || name === 'TimeoutError') return new RemoteError('timeout');
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  const isRefused = code !== undefined && /ConnectionRefused|FailedToOpenSocket|ECONNREFUSED|ENOTFOUND|DNS/i.test(code);
  return new RemoteError(isRefused ? 'refused' : 'broken', code);
}

/** @param hasStream whether the request went on with a transaction. */
export function fromStatus(status: number, hasStream: boolean): RemoteError {
  const code = String(status);
  if (status === 401 || status === 403) return new RemoteError('denied', code);
  if (status === 429) return new RemoteError('overloaded', code);
  if (status >= 500) return new RemoteError('failing', code);
  if (hasStream) return new RemoteError('lost', code);
  if (status === 404) return new RemoteError('missing', code);
  return new RemoteError('protocol', code);
}

const CONSTRAINTS: readonly (readonly [RegExp, string])[] = [
  [/UNIQUE constraint failed/, 'SQLITE_CONSTRAINT_UNIQUE'],
  [/FOREIGN KEY constraint failed/, 'SQLITE_CONSTRAINT_FOREIGNKEY'],
  [/NOT NULL constraint failed/, 'SQLITE_CONSTRAINT_NOTNULL'],
  [/CHECK constraint failed/, 'SQLITE_CONSTRAINT_CHECK'],
];

/**
 * The error of one statement, as the embedded engine would have thrown it. Hrana tells SQLite's plain result code only; which
 * constraint it was stands in SQLite's message.
 */
export function fromStatementError({ code, message }: { readonly code?: string; readonly message: string }): Error {
  const constraint = CONSTRAINTS.find(([pattern]) => pattern.test(message));
  if (constraint) return new LibsqlError(message, 'SQLITE_CONSTRAINT', constraint[1]);
  switch (code) {
    case 'TRANSACTION_TIMEOUT':
    case 'STREAM_EXPIRED':
      return new RemoteError('lost', code);
    case 'TRANSACTION_BUSY':
      return new LibsqlError(message, 'SQLITE_BUSY');
    case 'PROXY_ERROR':
      return new RemoteError('failing', code);
    case 'BLOCKED':
      return new RemoteError('denied', code);
  }
  return new LibsqlError(message, code?.startsWith('SQLITE_') ? code : 'SQLITE_ERROR', code);
}

/** Turns anything that a remote call threw into our types; what is not the database's comes back as it is. */
export function mapRemoteError(error: unknown): unknown {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof AppError) return current;
    if (current instanceof RemoteError) return toProblem(current);
  }
  return mapDatabaseError(error);
}

function toProblem(error: RemoteError): AppError {
  switch (error.fault) {
    case 'overloaded':
      return databaseProblems.create('busy', { cause: error, retryAfterSeconds: 1 });
    case 'unknown-outcome':
      return databaseProblems.create('unknown-outcome', { cause: error, retryAfterSeconds: 1 });
    default:
      return databaseProblems.create('unavailable', { cause: error, retryAfterSeconds: 1 });
  }
}
