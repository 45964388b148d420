import { describe, expect, test } from 'bun:test';
import { memoryRateLimiter } from '../../../src/drivers/memory-rate-limiter.ts';
import { createParseService } from '../../../src/modules/parse/index.ts';
import type { ParseJob, ParseResult } from '../../../src/modules/parse/job.ts';
import type { DataCache } from '../../../src/ports/cache.ts';
import type { ChildPool } from '../../../src/ports/child-pool.ts';
import { systemClock } from '../../../src/ports/clock.ts';
import { ask } from './support.ts';

/** The service with a cache of the test, its child in this process. */
function open(cache: Pick<DataCache, 'get'> | null, work: (job: ParseJob) => Promise<ParseResult> = ask) {
  const pool: ChildPool<ParseJob, ParseResult> = {
    run: async (job) => ({ status: 'done', result: await work(job) }),
    load: { running: 0, waiting: 0 },
    stop: async () => undefined,
  };
  const service = createParseService({
    pool,
    cache,
    clock: systemClock,
    limiter: memoryRateLimiter(systemClock),
    maxBytes: 1000,
    fetcher: null,
    readFile: async () => null,
  });
  return (source: string) => {
    const located = { bytes: new TextEncoder().encode(source), contentType: null, url: null };
    return service.readTexts('css', located, { view: 'minify' }, 'somebody');
  };
}

const load = { signal: new AbortController().signal };
const text = (members: Uint8Array) => new TextDecoder().decode(members);

describe('answers that are kept', () => {
  test('are given before they are', async () => {
    const kept = Promise.withResolvers<unknown>();
    const read = open({
      get: async (_key, _options, make) => {
        kept.resolve(await make(load));
        return new Promise<never>(() => undefined);
      },
    });
    const answer = await read('a { b: c }');
    expect(answer).toMatchObject({ view: 'minify', isCached: false });
    expect(text(answer.members)).toContain('"code":"a{b:c}"');
    expect(text((await kept.promise) as Uint8Array)).toEndWith(text(answer.members));
  });

  test('come from the cache when they are there, or are being made', async () => {
    const flights = new Map<string, Promise<unknown>>();
    const read = open({
      get<T>(key: string, _options: object, make: (context: typeof load) => T | Promise<T>) {
        if (!flights.has(key)) flights.set(key, Promise.resolve(make(load)));
        return flights.get(key) as Promise<T>;
      },
    });
    const [first, second] = [await read('a { b: c }'), await read('a { b: c }')];
    expect([first.isCached, second.isCached]).toEqual([false, true]);
    expect(text(second.members)).toBe(text(first.members));
  });

  test('are not made of failures', async () => {
    const read = open({ get: async (_key, _options, make) => make(load) }, async () => {
      throw new Error('lost');
    });
    const failure = await read('a{}').then(String, String);
    expect(failure).toBe('Error: lost');
  });
});
