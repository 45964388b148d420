import { describe, expect, test } from 'bun:test';
import { decodeStaticPath } from '../../../src/modules/gateway/static-path.ts';

describe('a path of a public file', () => {
  const accepted: readonly [path: string, segments: readonly string[], isDirectory: boolean][] = [
    ['/', [], true],
    ['/app.js', ['app.js'], false],
    ['/a/b/c.txt', ['a', 'b', 'c.txt'], false],
    ['/docs/', ['docs'], true],
    ['/caf%C3%A9%20menu.html', ['café menu.html'], false],
    ['/.well-known/security.txt', ['.well-known', 'security.txt'], false],
    ['/%2ewell-known/security.txt', ['.well-known', 'security.txt'], false],
    ['/a%252e%252e/b', ['a%2e%2e', 'b'], false],
    ['/a..b/c...', ['a..b', 'c...'], false],
    ['/a+b', ['a+b'], false],
  ];
  test.each(accepted)('%s is read', (path, segments, isDirectory) => {
    expect(decodeStaticPath(path)).toEqual({ segments, isDirectory });
  });

  const refused = [
    '',
    'app.js',
    '//',
    '//evil.example/',
    '/a//b',
    '/..',
    '/../etc/passwd',
    '/a/../b',
    '/./a',
    '/a/.',
    '/%2e%2e/etc/passwd',
    '/%2E./etc/passwd',
    '/.%2e/etc/passwd',
    '/..%2fetc%2fpasswd',
    '/a%2fb',
    '/a%2Fb',
    '/..%5cetc%5cpasswd',
    '/a\\b',
    '/..\\..\\windows',
    '/a%5Cb',
    '/a%00.html',
    '/a\0',
    '/a%0ab',
    '/a%7fb',
    '/%',
    '/%zz',
    '/a%e0%a4%a',
    '/%c0%ae%c0%ae/etc/passwd',
    '/%ff',
    '/.env',
    '/%2eenv',
    '/.git/config',
    '/a/.htpasswd',
    '/a/.well-known/x',
    '/.well-known/.secret',
    '/.well-known/../.env',
  ];
  test.each(refused)('%p is refused', (path) => {
    expect(decodeStaticPath(path)).toBeNull();
  });
});
