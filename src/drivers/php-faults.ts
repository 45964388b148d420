import { AppError } from '../kernel/errors.ts';
import { phpProblems, requestProblems } from '../kernel/problems.ts';
import { CgiFault } from './cgi-head.ts';
import { WrongBodySize } from './fastcgi-connection.ts';
import { ClientGone, ConnectionLost, SilentScript } from './fastcgi-exchange.ts';
import { FastCgiFault, OversizedParams } from './fastcgi-records.ts';

/** Translates what went wrong on a connection into what a client may hear. @throws always. */
export function toPhpProblem(error: unknown): never {
  if (error instanceof AppError) throw error;
  const cause = error;
  if (error instanceof OversizedParams) throw phpProblems.create('too-many-headers', { cause });
  if (error instanceof SilentScript) throw phpProblems.create('timeout', { cause });
  if (error instanceof ConnectionLost || error instanceof CgiFault || error instanceof FastCgiFault) {
    throw phpProblems.create('bad-answer', { cause });
  }
  // The client went away or broke its own body: whatever is answered, hardly anybody reads it.
  if (error instanceof ClientGone || error instanceof WrongBodySize)
    throw requestProblems.create('malformed', { cause });
  throw error;
}
