import { AppError } from '../kernel/errors.ts';
import { databaseProblems } from '../kernel/problems.ts';
import { ConstraintError } from '../ports/database.ts';

const CONSTRAINT_KINDS: Readonly<Record<string, ConstraintError['kind']>> = {
  SQLITE_CONSTRAINT_UNIQUE: 'unique',
  SQLITE_CONSTRAINT_PRIMARYKEY: 'unique',
  SQLITE_CONSTRAINT_ROWID: 'unique',
  SQLITE_CONSTRAINT_FOREIGNKEY: 'foreign-key',
  SQLITE_CONSTRAINT_NOTNULL: 'not-null',
  SQLITE_CONSTRAINT_CHECK: 'check',
};

const PROBLEMS = {
  SQLITE_BUSY: 'busy',
  SQLITE_LOCKED: 'busy',
  SQLITE_FULL: 'full',
  SQLITE_READONLY: 'read-only',
  SQLITE_CORRUPT: 'corrupt',
  SQLITE_NOTADB: 'corrupt',
  SQLITE_IOERR: 'unavailable',
  SQLITE_CANTOPEN: 'unavailable',
} as const;

/**
 * Turns what an engine threw into our types; anything that is not an engine's error comes back as it is. Drizzle wraps
 * errors in one whose message holds the SQL and its parameters: only the engine's own error is kept as the cause.
 */
export function mapDatabaseError(error: unknown): unknown {
  if (error instanceof AppError || error instanceof ConstraintError) return error;
  const engineError = findEngineError(error);
  if (!engineError) return error;
  if (engineError instanceof AppError || engineError instanceof ConstraintError) return engineError;

  const extended = engineError.extendedCode ?? engineError.code;
  if (engineError.code === 'SQLITE_CONSTRAINT' || extended.startsWith('SQLITE_CONSTRAINT')) {
    return new ConstraintError(CONSTRAINT_KINDS[extended] ?? 'other', { cause: engineError });
  }
  const name = PROBLEMS[/^SQLITE_[A-Z]+/.exec(engineError.code)?.[0] as keyof typeof PROBLEMS];
  if (!name) return engineError;
  return databaseProblems.create(name, { cause: engineError, ...(name === 'busy' ? { retryAfterSeconds: 1 } : {}) });
}

type EngineError = Error & { readonly code: string; readonly extendedCode?: string };

/** Looks through wrappers for the error of an engine, or one translated already. */
function findEngineError(error: unknown): EngineError | AppError | ConstraintError | null {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof AppError || current instanceof ConstraintError) return current;
    if ('code' in current && typeof current.code === 'string' && current.code.startsWith('SQLITE_')) {
      return current as EngineError;
    }
  }
  return null;
}
