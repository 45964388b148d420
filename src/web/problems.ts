import { ElysiaCustomStatusResponse, InternalServerError, NotFoundError, ParseError, ValidationError } from 'elysia';
import { AppError, type FieldFault } from '../kernel/errors.ts';
import { requestProblems, serverProblems } from '../kernel/problems.ts';

/** What the mapper needs to know of the request it answers. */
export interface ProblemScene {
  readonly requestId: string;
  /** The request's path, without its query. */
  readonly path: string;
}

/**
 * The one mapper from anything thrown to an RFC 9457 answer. Total: it takes any value and never throws. It decides by
 * `instanceof` only, so a foreign error's own `status`, `code` or `message` never reaches a client.
 */
export function toProblemResponse(thrown: unknown, scene: ProblemScene): Response {
  const error = toAppError(thrown);
  const body = {
    type: `/problems/${error.code}`,
    title: error.problem.title,
    status: error.problem.status,
    detail: error.detail,
    instance: scene.path,
    code: error.code,
    requestId: scene.requestId,
    ...(error.faults.length > 0 ? { errors: error.faults } : {}),
  };
  const headers: Record<string, string> = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' };
  if (error.problem.status === 401) headers['www-authenticate'] = 'Bearer realm="bunkhouse"';
  const retryAfter = error.retryAfterSeconds ?? (error.problem.status === 503 ? 1 : undefined);
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter);
  return new Response(JSON.stringify(body), {
    status: error.problem.status,
    headers: { ...headers, ...error.headers },
  });
}

/** Whether the value is a bug of ours rather than a failure we answer on purpose: it belongs in the log as an error. */
export function isUnexpected(thrown: unknown): boolean {
  return toAppError(thrown).code === 'server/internal';
}

/** The problem behind anything thrown. */
export function toAppError(thrown: unknown): AppError {
  try {
    return classify(thrown);
  } catch {
    // Even looking at a foreign value can throw.
    return serverProblems.create('internal', { cause: thrown });
  }
}

function classify(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof ValidationError) return fromValidation(thrown);
  if (thrown instanceof ParseError) return requestProblems.create('malformed-json');
  if (thrown instanceof NotFoundError) return requestProblems.create('not-found');
  if (thrown instanceof InternalServerError || thrown instanceof ElysiaCustomStatusResponse) {
    return serverProblems.create('internal', { cause: thrown });
  }
  // Drizzle wraps what a driver threw; the driver had translated it already.
  if (thrown instanceof Error && thrown.cause instanceof AppError) return thrown.cause;
  return serverProblems.create('internal', { cause: thrown });
}

/** Most faults that one answer lists. */
const MAX_FAULTS = 20;

function fromValidation(error: ValidationError): AppError {
  // An answer of ours that does not fit its schema is our bug, not the client's.
  if (error.type === 'response') return serverProblems.create('internal', { cause: error });
  const faults: FieldFault[] = [];
  try {
    for (const found of error.all) {
      if (faults.length === MAX_FAULTS) break;
      const { path, message, schema } = found as { path?: string; message?: string; schema?: { error?: unknown } };
      faults.push({
        pointer: pointerOf(error.type, path),
        detail: typeof schema?.error === 'string' ? schema.error : (message ?? 'is not as expected'),
      });
    }
  } catch {
    // The listing of faults is a courtesy; the answer stands without it.
  }
  return requestProblems.create('invalid', { faults });
}

/**
 * The body is the document a pointer points into; other places are named first. Elysia says `property` of a query value that it
 * could not convert.
 */
function pointerOf(type: string, path = ''): string {
  if (type === 'body') return path;
  return `/${type === 'property' ? 'query' : type}${path}`;
}
