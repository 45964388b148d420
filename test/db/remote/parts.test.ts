import { describe, expect, test } from 'bun:test';
import { parseRemoteAddress } from '../../../src/db/remote-address.ts';
import { createBreaker } from '../../../src/db/remote-breaker.ts';
import { fromStatementError } from '../../../src/db/remote-errors.ts';
import { createTurns } from '../../../src/db/remote-turns.ts';
import { fakeClock } from '../../support/fakes.ts';
import { outcomeOf } from './outcome.ts';

describe('the address of a remote database', () => {
  test.each([
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080/'],
    ['ws://main.localhost:8080', 'http://main.localhost:8080/'],
    ['wss://db.example.com', 'https://db.example.com/'],
    ['libsql://db-org.turso.io', 'https://db-org.turso.io/'],
    ['libsql://127.0.0.1:8080?tls=0', 'http://127.0.0.1:8080/'],
    ['https://example.com/behind/a/path', 'https://example.com/behind/a/path/'],
  ])('%s is spoken to at %s', (text, url) => {
    expect(parseRemoteAddress(text).url.href).toBe(url);
  });

  test('may carry the token, which is not left in it', () => {
    const { url, authToken } = parseRemoteAddress('libsql://db.example.com?authToken=a-secret');
    expect(authToken).toBe('a-secret');
    expect(url.href).not.toContain('a-secret');
  });

  test('that cannot be one is not repeated in the error', () => {
    expect(() => parseRemoteAddress('gopher://a-secret@host')).toThrow(/^(?!.*a-secret)/);
  });
});

describe('the circuit', () => {
  const create = () => {
    const clock = fakeClock();
    const changes: boolean[] = [];
    return { clock, changes, breaker: createBreaker({ clock, onChange: (isOpen) => changes.push(isOpen) }) };
  };
  const failTimes = (breaker: ReturnType<typeof createBreaker>, times: number) => {
    for (let i = 0; i < times; i++) {
      breaker.enter();
      breaker.failed();
    }
  };

  test('opens after outages in a row, not after as many with answers between', () => {
    const { breaker, changes } = create();
    for (let i = 0; i < 20; i++) {
      failTimes(breaker, 4);
      breaker.answered();
    }
    expect(breaker.isOpen).toBe(false);
    failTimes(breaker, 5);
    expect(breaker.enter()).toBeGreaterThan(0);
    expect(changes).toEqual([true]);
  });

  test('lets one call try after its pause, and waits longer each time that fails', () => {
    const { breaker, clock } = create();
    failTimes(breaker, 5);
    let pauseMs = 0;
    for (let round = 0; round < 3; round++) {
      const next = breaker.enter();
      expect(next).toBeGreaterThan(pauseMs);
      pauseMs = next;
      clock.turn(pauseMs);
      expect(breaker.enter()).toBe(0);
      expect(breaker.enter()).toBeGreaterThan(0);
      breaker.failed();
    }
    for (let round = 0; round < 20; round++) {
      clock.turn(breaker.enter());
      breaker.enter();
      breaker.failed();
    }
    expect(breaker.enter()).toBeLessThan(15_000);
  });

  test('closes with the first answer', () => {
    const { breaker, clock, changes } = create();
    failTimes(breaker, 5);
    clock.turn(breaker.enter());
    expect(breaker.enter()).toBe(0);
    breaker.answered();
    expect([breaker.enter(), breaker.enter()]).toEqual([0, 0]);
    expect(changes).toEqual([true, false]);
  });
});

describe('turns', () => {
  test('come in order, one at a time, whatever becomes of those before', async () => {
    const turns = createTurns(10_000);
    const order: number[] = [];
    let inside = 0;
    await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        turns.take(async () => {
          expect(++inside).toBe(1);
          await new Promise(setImmediate);
          order.push(n);
          inside--;
          if (n % 3 === 0) throw new Error('mine');
        }),
      ),
    );
    expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n));
    await turns.idle();
  });

  test('are not waited for longer than said', async () => {
    const turns = createTurns(20);
    const first = Promise.withResolvers<void>();
    const holding = turns.take(() => first.promise);
    expect(await outcomeOf(turns.take(async () => undefined))).toBe('database/busy');
    first.resolve();
    await holding;
    expect(await outcomeOf(turns.take(async () => undefined))).toBe('ok');
  });
});

test.each([
  ['SQLite error: UNIQUE constraint failed: t.u', 'SQLITE_CONSTRAINT', 'SQLITE_CONSTRAINT_UNIQUE'],
  ['SQLite error: NOT NULL constraint failed: t.u', 'SQLITE_CONSTRAINT', 'SQLITE_CONSTRAINT_NOTNULL'],
  ['SQLite error: database is locked', 'SQLITE_BUSY', undefined],
  ['SQL string could not be parsed', 'SQLITE_ERROR', 'SQL_PARSE_ERROR'],
])('the statement error "%s" has the codes that SQLite gives', (message, code, extendedCode) => {
  const error = fromStatementError({ message, code: extendedCode?.startsWith('SQL_') ? extendedCode : code });
  expect(error).toMatchObject({ code });
  if (extendedCode) expect(error).toMatchObject({ extendedCode });
});
