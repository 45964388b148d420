import { describe, expect, test } from 'bun:test';
import { createPhpRules, isScript, isSource } from '../../../src/modules/php/rules.ts';

const rules = createPhpRules(['conf', '/wiki/data/', '']);
const names = (path: string) => path.split('/');

describe('what is served', () => {
  test.each([
    '.env',
    'a/.git/config',
    '.htaccess',
    'conf/x.php',
    'conf',
    'wiki/data/a',
    'a/.well-known/x',
    '.well-known/.x',
  ])('%s never is', (path) => expect(rules.isDenied(names(path))).toBe(true));
  test.each(['confidential.txt', 'a/conf/x.css', 'wiki/database', '.well-known/security.txt', 'index.php'])(
    '%s is',
    (path) => expect(rules.isDenied(names(path))).toBe(false),
  );
});

describe('what runs', () => {
  test.each(['uploads/x.php', 'wp-content/uploads/2026/x.php', 'files/x.php', 'images/a/x.php', 'cache/x.php'])(
    '%s does not',
    (path) => expect(rules.mayRun(names(path))).toBe(false),
  );
  test.each(['x.php', 'admin/x.php', 'uploads.php', 'lib/exe/fetch.php'])('%s does', (path) =>
    expect(rules.mayRun(names(path))).toBe(true),
  );

  // Letters that fold to ASCII ones, or that change the length of a text when its case changes.
  test.each([
    'x.PHP',
    'x.pHp',
    'x.ph\u1d18',
    'x.\uff50\uff48\uff50',
    'x.php\u0130',
    'x.php ',
    'x.php\u200b',
    'x.phK',
    'x.php\u212a',
    'x.jpg',
  ])('%p is no script', (name) => expect(isScript(name)).toBe(false));
});

describe('source', () => {
  test.each([
    'a.php',
    'a.PHP',
    'a.php5',
    'a.phtml',
    'a.phar',
    'a.inc',
    'a.phps',
    'a.php~',
    'a.php.bak',
    'config.inc.orig',
    '.a.php.swp',
  ])('%s is never sent', (name) => expect(isSource(name)).toBe(true));
  test.each(['a.css', 'jquery.inc.js', 'php.txt', 'a.php.jpg', 'incident.pdf'])('%s is no source', (name) =>
    expect(isSource(name)).toBe(false),
  );
});
