import { describe, expect, test } from 'bun:test';
import { createRequestIds, isUuid, randomToken, toBase64Url, uuidv7 } from '../../src/kernel/ids.ts';

describe('UUIDv7', () => {
  const ids = Array.from({ length: 100_000 }, () => uuidv7());

  test('a hundred thousand in a row are different and sorted as they were made', () => {
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id, index) => index === 0 || id > (ids[index - 1] as string))).toBe(true);
  });

  test('carry version 7 and the variant of RFC 9562', () => {
    expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(
      true,
    );
    expect(ids.every(isUuid)).toBe(true);
  });

  test('carry the time in milliseconds, or a little more when many are made at once', () => {
    const at = Date.now() + 3_600_000;
    const timeOf = (id: string) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
    expect(timeOf(uuidv7(at))).toBe(at);
    expect(timeOf(uuidv7(at))).toBe(at);
  });

  test('do not go backwards when the clock does', () => {
    const before = uuidv7();
    expect(uuidv7(0) > before).toBe(true);
    expect(uuidv7(Date.now() - 60_000) > before).toBe(true);
  });

  test('cannot be guessed from the one before: the last 62 bits are random', () => {
    const tails = new Set(ids.slice(0, 1000).map((id) => id.slice(19)));
    expect(tails.size).toBe(1000);
  });
});

test.each([
  '',
  'x',
  '0198c0de-0000-7000-8000-00000000000',
  '0198C0DE-0000-7000-8000-000000000000',
  '0198c0de-0000-7000-8000-000000000000\n',
  '{0198c0de-0000-7000-8000-000000000000}',
])('%p is no UUID', (text) => expect(isUuid(text)).toBe(false));

describe('random tokens', () => {
  test('are of the length asked for, in base64url, and never the same', () => {
    expect(randomToken()).toMatch(/^[\w-]{43}$/);
    expect(randomToken(12)).toMatch(/^[\w-]{16}$/);
    expect(new Set(Array.from({ length: 1000 }, () => randomToken())).size).toBe(1000);
  });

  test('base64url has no character that a URL would change', () => {
    const bytes = new Uint8Array([251, 255, 191, 254, 63, 62]);
    expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'));
    expect(toBase64Url(new Uint8Array([0]))).toBe('AA');
    expect(toBase64Url(new Uint8Array())).toBe('');
  });
});

test('request ids of one process and of two never meet', () => {
  const [here, there] = [createRequestIds(), createRequestIds()];
  const ids = Array.from({ length: 1000 }, (_, index) => (index % 2 ? here() : there()));
  expect(new Set(ids).size).toBe(1000);
  expect(ids.every((id) => /^[\w-]{14,30}$/.test(id))).toBe(true);
});
