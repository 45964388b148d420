import { expect, test } from 'bun:test';
import { readFileName } from '../../../src/modules/uploads/file-name.ts';
import { uploadProblems } from '../../../src/modules/uploads/problems.ts';

const kept = [
  'a',
  '../../etc/passwd',
  '..',
  '/',
  'C:\\x',
  '"quoted"',
  "it's",
  '🙂',
  ' ',
  'x'.repeat(255),
  '🙂'.repeat(255),
  'a\u202eb',
];
test.each(kept)('the name %p is kept as it is', (name) => {
  expect(readFileName(name)).toBe(name);
});

test('a name is kept in normal form C', () => {
  expect(readFileName('e\u0301')).toBe('\u00e9');
});

const refused = [
  '',
  'a\0b',
  'a\nb',
  'a\r',
  '\t',
  '\x7f',
  '\x85',
  'x'.repeat(256),
  '🙂'.repeat(256),
  'x'.repeat(100_000),
  '\ud800',
];
test.each(refused)('the name %p is refused', (name) => {
  const attempt = () => {
    try {
      return readFileName(name);
    } catch (error) {
      return error;
    }
  };
  expect(uploadProblems.is(attempt(), 'invalid-name')).toBe(true);
});
