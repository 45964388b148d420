/**
 * The one error class and the tables its instances come from.
 *
 * A failure a caller may see is a row of a table: a stable code, an HTTP status, a title and a default detail. Every
 * area (`auth`, `uploads`, …) declares its rows once with {@link defineProblems} and throws what the table creates.
 * Whatever else is thrown is a bug, and the mapper in `web/problems.ts` answers it with an opaque 500.
 */

/** One kind of failure, as RFC 9457 describes a problem type. */
export interface ProblemRow {
  /** HTTP status of the answer. */
  readonly status: number;
  /** Short summary, the same for every occurrence (RFC 9457 §3.1.3). */
  readonly title: string;
  /** What went wrong and what the client can do, in one or two sentences; never a submitted value. */
  readonly detail: string;
}

/** A faulty place in the request: a JSON pointer (RFC 6901) and what is expected there. Never the value itself. */
export interface FieldFault {
  readonly pointer: string;
  readonly detail: string;
}

export interface AppErrorOptions {
  /** Replaces the row's detail. It reaches the client: no submitted value, no internal name. */
  readonly detail?: string;
  readonly faults?: readonly FieldFault[];
  /** Becomes `Retry-After`, in whole seconds. */
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The foreign error behind this one; it is logged and never sent. */
  readonly cause?: unknown;
}

/** The only error that ends a request with an answer of our choosing. Create it through a problem table. */
export class AppError extends Error {
  override readonly name = 'AppError';
  /** `area/name`, for example `auth/invalid-credentials`. */
  readonly code: string;
  readonly problem: ProblemRow;
  readonly detail: string;
  readonly faults: readonly FieldFault[];
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: string, problem: ProblemRow, options: AppErrorOptions = {}) {
    super(`${code}: ${options.detail ?? problem.detail}`, { cause: options.cause });
    this.code = code;
    this.problem = problem;
    this.detail = options.detail ?? problem.detail;
    this.faults = options.faults ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.headers = options.headers ?? {};
  }
}

/** The problems of one area. */
export interface ProblemTable<Name extends string = string> {
  readonly area: string;
  readonly rows: Readonly<Record<Name, ProblemRow>>;
  /** Makes the error of a row, ready to throw. */
  create(name: Name, options?: AppErrorOptions): AppError;
  /** Whether a caught value is one of this table's rows. */
  is(error: unknown, name: Name): error is AppError;
}

/** Declares the failures of one area; the area is the first half of every code. */
export function defineProblems<const Rows extends Record<string, ProblemRow>>(
  area: string,
  rows: Rows,
): ProblemTable<keyof Rows & string> {
  return {
    area,
    rows,
    create: (name, options) => new AppError(`${area}/${name}`, rows[name] as ProblemRow, options),
    is: (error, name): error is AppError => error instanceof AppError && error.code === `${area}/${name}`,
  };
}
