import { AppError } from '../../../src/kernel/errors.ts';
import { ConstraintError } from '../../../src/ports/database.ts';

/** What became of a call: `ok`, or the code of the problem that a client would see. */
export async function outcomeOf(call: PromiseLike<unknown>): Promise<string> {
  const error = await errorOf(call);
  if (error === null) return 'ok';
  if (error instanceof ConstraintError) return error.kind;
  return error instanceof AppError ? error.code : String(error);
}

/** What a call rejects with, without the wrapping that drizzle adds; null when it resolves. */
export async function errorOf(call: PromiseLike<unknown>): Promise<unknown> {
  try {
    await call;
    return null;
  } catch (error) {
    return error instanceof Error && error.cause instanceof AppError ? error.cause : error;
  }
}
