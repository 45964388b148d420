import { describe, expect, test } from 'bun:test';
import { decodePhpPath, encodePhpPath } from '../../../src/modules/php/url-path.ts';

describe('the path below the mount', () => {
  const good: [string, readonly string[], boolean][] = [
    ['', [], false],
    ['/', [], true],
    ['/a/b.php', ['a', 'b.php'], false],
    ['/a/', ['a'], true],
    ['//a///b', ['a', 'b'], false],
    ['/a%20b/%C3%A9', ['a b', 'é'], false],
    ['/a%252eb', ['a%2eb'], false],
    ['/İ.PHP', ['İ.PHP'], false],
  ];
  test.each(good)('%p is read once', (path, segments, isDirectory) =>
    expect(decodePhpPath(path)).toEqual({ segments, isDirectory }),
  );

  const bad = [
    '/a%00.php',
    '/a%0a.php',
    '/index.php/a%0d%0ab',
    '/a%2fb',
    '/a%5cb',
    '/a\\b',
    '/%2e%2e/x',
    '/a/../b',
    '/%zz',
    '/%ff',
    '/%7f',
  ];
  test.each(bad)('%p is refused', (path) => expect(decodePhpPath(path)).toBeNull());

  test('is written so that no browser takes it for another host', () => {
    expect(encodePhpPath(decodePhpPath('//evil.example/%3fx')?.segments ?? [])).toBe('/evil.example/%3Fx');
  });
});
