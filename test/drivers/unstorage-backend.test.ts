import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCacheBackend } from '../../src/drivers/unstorage-backend.ts';
import type { CacheBackend } from '../../src/ports/cache.ts';

const open = (driver: string, address = '', options = {}) =>
  openCacheBackend({ driver, address, options, onFault: () => undefined });

describe('drivers behind the cache', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bunkhouse-backend-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const required = async (...given: Parameters<typeof open>): Promise<CacheBackend> => {
    const backend = await open(...given);
    if (!backend) throw new Error('there should have been a backend');
    return backend;
  };

  test('memory has none', async () => {
    expect(await open('memory')).toBeNull();
  });

  test.each(['fs', 'lru-cache', 'fs-lite'])('%s gives back any bytes, lists by prefix, and deletes', async (driver) => {
    const base = join(folder, driver);
    const backend = await required(driver, base, driver === 'fs-lite' ? { base } : {});
    const frames = [new Uint8Array(), new TextEncoder().encode('123'), Uint8Array.from({ length: 300 }, (_, i) => i)];
    for (const [index, frame] of frames.entries()) await backend.set(`v1:data:0${index}:hash`, frame, 60);
    await backend.set('v1:data-other:00:hash', new Uint8Array([1]), 60);
    for (const [index, frame] of frames.entries()) {
      expect(Buffer.from((await backend.get(`v1:data:0${index}:hash`)) ?? []).equals(frame)).toBe(true);
    }
    expect(await backend.get('v1:data:ff:hash')).toBeNull();
    expect((await backend.list('v1:data:')).toSorted()).toEqual(frames.map((_, index) => `v1:data:0${index}:hash`));
    await backend.delete('v1:data:00:hash');
    await backend.delete('v1:data:ff:hash');
    expect(await backend.list('v1:data:')).toHaveLength(2);
    expect(await backend.list('v1:')).toHaveLength(3);
    await backend.close();
  });

  test('files are for their owner alone', async () => {
    const base = join(folder, 'private');
    await (await required('fs', base)).close();
    expect((await stat(base)).mode & 0o777).toBe(0o700);
  });

  test.each([
    ['s3', /it needs the package aws4fetch/],
    ['upstash', /it needs the package @upstash\/redis/],
    ['cloudflare-kv-http', /its options are not right/],
  ])('%s that cannot be opened says why', async (driver, reason) => {
    const error = await open(driver).catch((caught: unknown) => caught);
    expect(String(error)).toMatch(reason);
  });
});
