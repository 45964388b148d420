import { expect, test } from 'bun:test';
import { withoutCookie } from '../../src/web/other-cookies.ts';

test.each([
  ['own=1', ''],
  ['own', ''],
  [' own =1', ''],
  ['a=1; own=2; b=3', 'a=1; b=3'],
  ['a=1;own=2;own=3', 'a=1'],
  ['owner=1; a=own; my-own=2', 'owner=1; a=own; my-own=2'],
  ['a="x y"; b', 'a="x y"; b'],
])('%p without "own" is %p', (header, others) => {
  expect(withoutCookie(header, 'own')).toBe(others);
});
