import { describe, expect, test } from 'bun:test';
import { AppError, defineProblems } from '../../src/kernel/errors.ts';
import { createKeyring } from '../../src/kernel/keys.ts';
import { problemTables } from '../../src/problem-tables.ts';

describe('a problem table', () => {
  const table = defineProblems('tests', {
    odd: { status: 409, title: 'Odd', detail: 'It is odd.' },
    even: { status: 410, title: 'Even', detail: 'It is even.' },
  });

  test('makes errors with a stable code and the row’s detail', () => {
    const error = table.create('odd');
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: 'tests/odd', detail: 'It is odd.', problem: table.rows.odd, faults: [] });
    expect(error.message).toBe('tests/odd: It is odd.');
  });

  test('knows its own rows and no others', () => {
    expect(table.is(table.create('odd'), 'odd')).toBe(true);
    expect(table.is(table.create('even'), 'odd')).toBe(false);
    expect(table.is({ code: 'tests/odd' }, 'odd')).toBe(false);
    expect(table.is(null, 'odd')).toBe(false);
  });

  test('keeps the cause for the log', () => {
    const cause = new Error('foreign');
    expect(table.create('odd', { cause }).cause).toBe(cause);
  });
});

describe('the problems of the house', () => {
  const rows = problemTables.flatMap(({ area, rows }) =>
    Object.entries(rows).map(([name, row]) => ({ code: `${area}/${name}`, ...row })),
  );

  test('have codes that are unique and fit a path', () => {
    expect(new Set(rows.map(({ code }) => code)).size).toBe(rows.length);
    for (const { code } of rows) expect(code).toMatch(/^[a-z]+(-[a-z]+)*\/[a-z0-9]+(-[a-z0-9]+)*$/);
  });

  test('have a failing status, a short title and a detail in sentences', () => {
    for (const { code, status, title, detail } of rows) {
      expect(status, code).toBeWithin(400, 600);
      expect(title.length, code).toBeWithin(3, 50);
      expect(detail, code).toMatch(/^\S.*\.$/);
    }
  });
});

describe('keys', () => {
  const keys = createKeyring('a secret that is at least 32 characters long');

  test('are 32 bytes, the same for the same purpose and secret, and others otherwise', () => {
    expect(keys('a')).toHaveLength(32);
    expect(keys('a')).toEqual(keys('a'));
    expect(keys('a')).not.toEqual(keys('b'));
    expect(createKeyring('another secret that is at least 32 characters')('a')).not.toEqual(keys('a'));
  });

  test('do not change between versions: tokens would stop to work', () => {
    expect(Buffer.from(createKeyring('x'.repeat(32))('access-token')).toString('hex')).toBe(KNOWN);
  });
});

/** HKDF-SHA256 of 32 times `x`, no salt, info `bunkhouse/access-token`; `openssl kdf` says the same. */
const KNOWN = 'eb7aa5b9a30484769c721bf3477c2c78a97c9e9737b7dcf4a484a2aca9b058b1';
