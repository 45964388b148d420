import type { InStatement, ResultSet, Row } from '@libsql/core/api';
import type { RemoteAddress } from './remote-address.ts';
import { fromFetchError, fromStatementError, fromStatus, RemoteError } from './remote-errors.ts';
import { fromWire, toWireArgs, type WireValue } from './remote-values.ts';

/** Hrana 3 over HTTP in its JSON form: https://github.com/tursodatabase/libsql/blob/main/docs/HRANA_3_SPEC.md. */

/** When a step of a batch runs. */
export type Condition =
  | { readonly type: 'ok'; readonly step: number }
  | { readonly type: 'not'; readonly cond: Condition }
  | { readonly type: 'and'; readonly conds: readonly Condition[] }
  | { readonly type: 'is_autocommit' };

/** A statement with its arguments as they go over the wire. */
export interface WireStatement {
  readonly sql: string;
  readonly args: readonly WireValue[];
  readonly want_rows: true;
}

export interface Step {
  readonly statement: WireStatement;
  readonly condition?: Condition | undefined;
}

/** @throws TypeError for an argument that the database has no value for. */
export function toWireStatement(statement: InStatement): WireStatement {
  const { sql, args } = typeof statement === 'string' ? { sql: statement, args: [] } : statement;
  return { sql, args: toWireArgs(args), want_rows: true };
}

/** @throws the error of the statement; `lost` when the server did not run it. */
export function takeResult(outcome: Outcome): ResultSet {
  if (outcome instanceof Error) throw outcome;
  if (outcome === null) throw new RemoteError('lost');
  return outcome;
}

/** Each step runs only if the one before it succeeded. */
export function toChain(statements: readonly WireStatement[], first?: Condition): Step[] {
  return statements.map((statement, index) => ({
    statement,
    condition: index === 0 ? first : { type: 'ok', step: index - 1 },
  }));
}

/** What became of a step: its result, its error, or neither because its condition did not hold. */
export type Outcome = ResultSet | Error | null;

/** A connection of the server that one request after another goes on with. */
export interface Stream {
  /**
   * Runs the steps in one request and, when `isLast`, ends the stream with it, which rolls back what is open.
   * @throws RemoteError
   */
  run(steps: readonly Step[], options: { readonly signal: AbortSignal; readonly isLast?: boolean }): Promise<Outcome[]>;
  /** Ends the stream, rolling back what is open. Nothing is sent when the server does not know the stream. */
  end(signal: AbortSignal): Promise<void>;
}

/** Opens streams at one server. Opening sends nothing. */
export type OpenStream = () => Stream;

export function createHrana(address: RemoteAddress, authToken: string | null): OpenStream {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (authToken !== null) headers['authorization'] = `Bearer ${authToken}`;

  return () => {
    let baton: string | null = null;
    let base = address.url;

    const post = async (requests: readonly object[], signal: AbortSignal): Promise<WireResult[]> => {
      const body = JSON.stringify({ baton, requests });
      let response: Response;
      let text: string;
      try {
        response = await fetch(new URL('v3/pipeline', base), {
          method: 'POST',
          headers,
          body,
          signal,
          redirect: 'manual',
        });
        text = await response.text();
      } catch (error) {
        throw fromFetchError(error);
      }
      if (!response.ok) throw fromStatus(response.status, baton !== null);
      const answer = parse(text);
      baton = answer.baton ?? null;
      // The server may ask that the stream goes on at another of its machines; the token goes to no other scheme.
      if (answer.base_url) base = sameScheme(new URL(answer.base_url), base);
      return answer.results;
    };

    return {
      async run(steps, { signal, isLast = false }) {
        const wireSteps = steps.map(({ statement, condition }) => ({ condition, stmt: statement }));
        const batch = { type: 'batch', batch: { steps: wireSteps } };
        const [result] = await post(isLast ? [batch, CLOSE] : [batch], signal);
        if (result?.type === 'error') throw fromStatementError(result.error);
        if (result?.type !== 'ok' || !result.response.result) throw new RemoteError('protocol');
        const { step_results, step_errors } = result.response.result;
        return steps.map((_, index) => {
          const error = step_errors[index];
          if (error) return fromStatementError(error);
          const value = step_results[index];
          return value ? toResultSet(value) : null;
        });
      },
      async end(signal) {
        if (baton !== null) await post([CLOSE], signal);
      },
    };
  };
}

const CLOSE = { type: 'close' };

interface WireRows {
  readonly cols: readonly { readonly name: string | null; readonly decltype?: string | null }[];
  readonly rows: readonly (readonly WireValue[])[];
  readonly affected_row_count: number;
  readonly last_insert_rowid: string | null;
}

interface WireError {
  readonly message: string;
  readonly code?: string;
}

type WireResult =
  | {
      readonly type: 'ok';
      readonly response: {
        readonly result?: {
          readonly step_results: readonly (WireRows | null)[];
          readonly step_errors: readonly (WireError | null)[];
        };
      };
    }
  | { readonly type: 'error'; readonly error: WireError };

interface WireAnswer {
  readonly baton?: string | null;
  readonly base_url?: string | null;
  readonly results: WireResult[];
}

function parse(text: string): WireAnswer {
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer === 'object' && answer !== null && 'results' in answer && Array.isArray(answer.results)) {
      return answer as WireAnswer;
    }
  } catch {
    // Something that is not a libSQL server answers at this address.
  }
  throw new RemoteError('protocol');
}

function sameScheme(next: URL, current: URL): URL {
  if (next.protocol !== current.protocol) throw new RemoteError('protocol');
  return next;
}

/** Rows are plain arrays, as the embedded engine's are. */
function toResultSet({ cols, rows, affected_row_count, last_insert_rowid }: WireRows): ResultSet {
  const columns = cols.map(({ name }) => name ?? '');
  const values = rows.map((row) => row.map(fromWire));
  return {
    columns,
    columnTypes: cols.map(({ decltype }) => decltype ?? ''),
    rows: values as unknown as Row[],
    rowsAffected: affected_row_count,
    lastInsertRowid: last_insert_rowid === null ? undefined : BigInt(last_insert_rowid),
    toJSON: () => ({ columns, rows: values, rowsAffected: affected_row_count }),
  };
}
