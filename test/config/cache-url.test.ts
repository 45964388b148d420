import { describe, expect, test } from 'bun:test';
import { parseCacheUrl } from '../../src/config/cache-url.ts';
import { ConfigError, loadConfig } from '../../src/config/load.ts';

describe('CACHE_URL', () => {
  test.each([
    ['memory:', { driver: 'memory', address: '' }],
    ['memory:?memory=64MiB', { driver: 'memory', memoryBytes: 64 * 2 ** 20 }],
    ['fs:./data/cache', { driver: 'fs', address: './data/cache' }],
    ['fs:/var/cache/site?disk=2GiB', { driver: 'fs', address: '/var/cache/site', diskBytes: 2 * 2 ** 30 }],
    ['fs:///var/cache/site', { driver: 'fs', address: '/var/cache/site' }],
    ['redis://user:pa%20ss@host:6380/2', { driver: 'redis', address: 'redis://user:pa%20ss@host:6380/2' }],
    ['rediss://host?memory=1MiB', { driver: 'redis', address: 'rediss://host', memoryBytes: 2 ** 20 }],
    ['redis+unix:///run/redis.sock', { driver: 'redis', address: 'redis+unix:///run/redis.sock' }],
    ['lru-cache:?max=100', { driver: 'lru-cache', options: { max: 100 } }],
    [
      'upstash:?url=https://x.example&token=a',
      { driver: 'upstash', options: { url: 'https://x.example', token: 'a' } },
    ],
  ])('%s', (url, location) => {
    expect(parseCacheUrl(url)).toMatchObject(location);
  });

  test.each(['nonsense', 'ftp://host', 'fs:', 'memory:?memory=lots', 'constructor:', '/var/cache', 'fs:x?disk=-1'])(
    '%s stops the start',
    (url) => {
      let fault: unknown;
      try {
        loadConfig({ CACHE_URL: url });
      } catch (error) {
        fault = error;
      }
      expect(fault).toBeInstanceOf(ConfigError);
      expect(String(fault)).not.toContain('lots');
    },
  );
});
