import { describe, expect, test } from 'bun:test';
import { hasContentHash } from '../../src/web/cache-policy.ts';
import { mediaTypeOf } from '../../src/web/media-types.ts';

describe('a name with a content hash', () => {
  test.each([
    'app.3f9a2c1b.js',
    'app-BKZ3x9Qw.js',
    'app-BKZ3x9Qw.js.map',
    'style.0123456789abcdef0123456789abcdef.css',
    'logo-a1b2c3d4.svg',
    'font.9f86d081884c7d65.woff2',
    'index-D_9x-aQ2.css',
  ])('%s may be kept forever', (name) => {
    expect(hasContentHash(name)).toBe(true);
  });

  test.each([
    'app.js',
    'index.html',
    'page.3f9a2c1b.html',
    'my-settings.js',
    'jquery-migrate.js',
    'lib-version2.js',
    'report-20240101.css',
    'photo-20240101.jpg',
    'icon-iPhone15.png',
    'a.deadbeef.js',
    '3f9a2c1b.js',
    'archive.3f9a2c1b.zip',
    'noextension-3f9a2c1b',
  ])('%s is asked for again', (name) => {
    expect(hasContentHash(name)).toBe(false);
  });
});

describe('the media type of a name', () => {
  const types: readonly [name: string, type: string][] = [
    ['index.html', 'text/html; charset=utf-8'],
    ['APP.JS', 'text/javascript; charset=utf-8'],
    ['a.tar.gz', 'application/gzip'],
    ['icon.svg', 'image/svg+xml'],
    ['site.webmanifest', 'application/manifest+json'],
    ['README', 'application/octet-stream'],
    ['x.exe', 'application/octet-stream'],
    ['x.constructor', 'application/octet-stream'],
    ['x.__proto__', 'application/octet-stream'],
  ];
  test.each(types)('%s is %s', (name, type) => {
    expect(mediaTypeOf(name)).toBe(type);
  });
});
