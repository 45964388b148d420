import { describe, expect, test } from 'bun:test';
import { LibsqlError } from '@libsql/core/api';
import { DrizzleQueryError } from 'drizzle-orm';
import { mapDatabaseError } from '../../src/db/errors.ts';
import { AppError } from '../../src/kernel/errors.ts';
import { databaseProblems } from '../../src/kernel/problems.ts';
import { ConstraintError } from '../../src/ports/database.ts';

const SECRET = 'hunter2';
const engineError = (code: string, extended = code) => new LibsqlError(`it failed at ${SECRET}`, code, extended);
const wrapped = (cause: Error) => new DrizzleQueryError(`insert into users values ('${SECRET}')`, [SECRET], cause);

describe("an engine's error becomes ours", () => {
  test.each([
    ['SQLITE_BUSY', 'database/busy', 503],
    ['SQLITE_BUSY_SNAPSHOT', 'database/busy', 503],
    ['SQLITE_LOCKED', 'database/busy', 503],
    ['SQLITE_FULL', 'database/full', 507],
    ['SQLITE_READONLY', 'database/read-only', 503],
    ['SQLITE_CORRUPT', 'database/corrupt', 503],
    ['SQLITE_NOTADB', 'database/corrupt', 503],
    ['SQLITE_IOERR', 'database/unavailable', 503],
    ['SQLITE_CANTOPEN', 'database/unavailable', 503],
  ])('%s is %s', (code, expected, status) => {
    for (const error of [engineError(code), wrapped(engineError(code))]) {
      const mapped = mapDatabaseError(error) as AppError;
      expect(mapped).toBeInstanceOf(AppError);
      expect([mapped.code, mapped.problem.status]).toEqual([expected, status]);
      expect(`${mapped.message} ${mapped.detail}`).not.toContain(SECRET);
    }
  });

  test.each<[string, ConstraintError['kind']]>([
    ['SQLITE_CONSTRAINT_UNIQUE', 'unique'],
    ['SQLITE_CONSTRAINT_PRIMARYKEY', 'unique'],
    ['SQLITE_CONSTRAINT_FOREIGNKEY', 'foreign-key'],
    ['SQLITE_CONSTRAINT_NOTNULL', 'not-null'],
    ['SQLITE_CONSTRAINT_CHECK', 'check'],
    ['SQLITE_CONSTRAINT_TRIGGER', 'other'],
    ['SQLITE_CONSTRAINT', 'other'],
  ])('%s is a broken %s constraint', (extended, kind) => {
    const mapped = mapDatabaseError(wrapped(engineError('SQLITE_CONSTRAINT', extended))) as ConstraintError;
    expect(mapped).toBeInstanceOf(ConstraintError);
    expect(mapped.kind).toBe(kind);
    expect(mapped.message).not.toContain(SECRET);
  });

  test('what is ours already stays as it is, also inside a wrapper', () => {
    const ours = databaseProblems.create('busy');
    const constraint = new ConstraintError('check');
    expect(mapDatabaseError(ours)).toBe(ours);
    expect(mapDatabaseError(wrapped(ours))).toBe(ours);
    expect(mapDatabaseError(wrapped(constraint))).toBe(constraint);
  });

  test.each<[string, unknown]>([
    ['null', null],
    ['undefined', undefined],
    ['a number', 5],
    ['a text', 'text'],
    ['an error of somebody else', new Error('other')],
    ['an object with the code of one', { code: 'SQLITE_BUSY' }],
  ])('%s is passed on as it is', (_what, value) => {
    expect(mapDatabaseError(value)).toBe(value);
  });

  test('an error of the engine that is no known failure loses the wrapper with the statement', () => {
    const inner = engineError('SQLITE_ERROR');
    expect(mapDatabaseError(wrapped(inner))).toBe(inner);
  });
});
