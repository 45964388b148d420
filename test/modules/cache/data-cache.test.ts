import { describe, expect, test } from 'bun:test';
import { createDataCache } from '../../../src/modules/cache/data-cache.ts';
import { cacheProblems } from '../../../src/modules/cache/problems.ts';
import type { CacheOptions, DataCache } from '../../../src/ports/cache.ts';
import { eventually } from '../../support/eventually.ts';
import { type FakeClock, fakeClock } from '../../support/fakes.ts';
import { smallStore } from './support.ts';

const MINUTE: CacheOptions = { ttl: 60, jitter: 0 };

interface Bench {
  readonly cache: DataCache;
  readonly clock: FakeClock;
  readonly store: ReturnType<typeof smallStore>;
  readonly faults: unknown[];
}

function open(): Bench {
  const clock = fakeClock();
  const store = smallStore({ clock });
  const faults: unknown[] = [];
  const cache = createDataCache({ store, clock, onFault: (error) => void faults.push(error) });
  return { cache, clock, store, faults };
}

/** A function that counts its calls and answers when it is told to. */
function gated<T>(value: () => T) {
  const waiting: { resolve(): void; reject(error: unknown): void }[] = [];
  const load = () =>
    new Promise<T>((resolve, reject) => {
      waiting.push({ resolve: () => resolve(value()), reject });
    });
  return { load, waiting };
}

const caught = (work: Promise<unknown>) => work.then(() => null).catch((error: unknown) => error);

describe('the data cache', () => {
  test('makes a value once, and again when its time is over', async () => {
    const { cache, clock } = open();
    let calls = 0;
    const get = () => cache.get('k', MINUTE, () => ++calls);
    expect([await get(), await get()]).toEqual([1, 1]);
    clock.turn(60_001);
    expect(await get()).toBe(2);
  });

  test('a hundred requests for one cold key make one load', async () => {
    const { cache, store } = open();
    const { load, waiting } = gated(() => ({ answer: 42 }));
    const all = Array.from({ length: 100 }, () => cache.get('k', MINUTE, load));
    await eventually(() => waiting.length > 0);
    for (const { resolve } of waiting) resolve();
    for (const value of await Promise.all(all)) expect(value).toEqual({ answer: 42 });
    expect(waiting).toHaveLength(1);
    expect(store.stats().spaces[0]).toMatchObject({ misses: 100, coalesced: 99, loads: 1 });
  });

  test('gives what it was given, the first time as every other', async () => {
    const { cache } = open();
    const values = [
      null,
      '',
      '123',
      0,
      -1.5,
      true,
      [1, [2, null]],
      { a: { b: 'é😀\u0000' }, __proto__: null },
      new Date(1_700_000_000_000),
      new Uint8Array([0, 255, 7]),
      12345678901234567890n,
      undefined,
      { $: ['date', 1], when: new Date(5), bytes: new Uint8Array([1]), list: [undefined, 1n] },
      { $: 'x' },
      JSON.parse('{"__proto__":{"x":1},"constructor":1}'),
    ];
    for (const [index, value] of values.entries()) {
      const load = () => value;
      const first = await cache.get(`k${index}`, MINUTE, load);
      const second = await cache.get(`k${index}`, MINUTE, () => 'made again');
      expect(first).toStrictEqual(value as never);
      expect(second).toStrictEqual(value as never);
    }
  });

  test('leaves out properties that are undefined, as JSON does', async () => {
    const { cache } = open();
    expect(Object.keys(await cache.get('k', MINUTE, () => ({ a: 1, b: undefined })))).toEqual(['a']);
  });

  test('no caller can change what the others get', async () => {
    const { cache } = open();
    const given = { list: [1] };
    const load = () => given;
    const first = await cache.get('k', MINUTE, load);
    given.list.push(2);
    expect(() => first.list.push(3)).toThrow(TypeError);
    expect(await cache.get('k', MINUTE, load)).toEqual({ list: [1] });
    const bytes = await cache.get('bytes', MINUTE, () => new Uint8Array([1, 2]));
    bytes[0] = 9;
    expect(await cache.get('bytes', MINUTE, () => bytes)).toEqual(new Uint8Array([1, 2]));
    const dated = await cache.get('date', MINUTE, () => ({ at: new Date(0) }));
    dated.at.setTime(9);
    expect(await cache.get('date', MINUTE, () => dated)).toEqual({ at: new Date(0) });
  });

  test('refuses what would come back as something else', async () => {
    const { cache } = open();
    class Point {
      x = 1;
    }
    const loop: unknown[] = [];
    loop.push(loop);
    for (const value of [
      new Map(),
      new Set(),
      new Point(),
      () => 1,
      Symbol('s'),
      Number.NaN,
      { a: [new Point()] },
      loop,
    ]) {
      expect(await caught(cache.get('k', MINUTE, () => value))).toBeInstanceOf(TypeError);
      expect(await cache.find('k')).toBeUndefined();
    }
  });

  test('a stale value is answered at once while one load renews it', async () => {
    const { cache, clock, store } = open();
    const options = { ...MINUTE, swr: 30 };
    await cache.get('k', options, () => 'old');
    clock.turn(61_000);
    const { load, waiting } = gated(() => 'new');
    for (let index = 0; index < 5; index++) expect(await cache.get('k', options, load)).toBe('old');
    await eventually(() => waiting.length === 1);
    waiting[0]?.resolve();
    await eventually(async () => (await cache.find('k')) === 'new');
    expect(waiting).toHaveLength(1);
    expect(store.stats().spaces[0]?.stale).toBe(5);
    clock.turn(60_000 + 31_000);
    expect(await cache.get('k', options, () => 'newer')).toBe('newer');
  });

  test('a failing load is bridged by the stale value, and not called at each request', async () => {
    const { cache, clock, faults } = open();
    const options = { ...MINUTE, staleIfError: 3600 };
    await cache.get('k', options, () => 'old');
    clock.turn(61_000);
    let calls = 0;
    const fail = () => {
      calls++;
      throw new Error('down');
    };
    for (let index = 0; index < 20; index++) expect(await cache.get<string>('k', options, fail)).toBe('old');
    expect(calls).toBe(1);
    expect(faults).toHaveLength(1);
    clock.turn(1_300);
    for (let index = 0; index < 20; index++) expect(await cache.get<string>('k', options, fail)).toBe('old');
    expect(calls).toBe(2);
    // The pause doubles.
    clock.turn(1_300);
    expect(await cache.get<string>('k', options, fail)).toBe('old');
    expect(calls).toBe(2);
    clock.turn(1_300);
    expect(await cache.get('k', options, () => 'back')).toBe('back');
    clock.turn(3_700_000);
    expect(await caught(cache.get('k', options, fail))).toMatchObject({ message: 'down' });
  });

  test('a failure with nothing to stand in reaches everybody who waits, and is not kept', async () => {
    const { cache } = open();
    const { load, waiting } = gated(() => 1);
    const all = [cache.get('k', MINUTE, load), cache.get('k', MINUTE, load)].map(caught);
    await eventually(() => waiting.length === 1);
    waiting[0]?.reject(new Error('down'));
    expect((await Promise.all(all)).map((error) => (error as Error).message)).toEqual(['down', 'down']);
    expect(await cache.get('k', MINUTE, () => 'back')).toBe('back');
  });

  test('"there is nothing" is believed for less long', async () => {
    const { cache, clock } = open();
    let calls = 0;
    const get = (options: CacheOptions) =>
      cache.get('k', options, () => {
        calls++;
        return null;
      });
    await get(MINUTE);
    clock.turn(9_000);
    await get(MINUTE);
    expect(calls).toBe(1);
    clock.turn(2_000);
    await get({ ...MINUTE, negativeTtl: 1 });
    expect(calls).toBe(2);
    clock.turn(1_100);
    await get(MINUTE);
    expect(calls).toBe(3);
  });

  test('soft timeout: waits for a new value a moment, then answers with the stale one', async () => {
    const { cache, clock } = open();
    const options = { ...MINUTE, swr: 60, softTimeout: 0.02 };
    await cache.get('k', options, () => 'old');
    clock.turn(61_000);
    expect(await cache.get('k', options, () => 'quick')).toBe('quick');
    clock.turn(61_000);
    const { load, waiting } = gated(() => 'slow');
    expect(await cache.get('k', options, load)).toBe('quick');
    waiting[0]?.resolve();
    await eventually(async () => (await cache.find('k')) === 'slow');
  });

  test('hard timeout: gives up with a problem, lets go of the load, and keeps what still comes', async () => {
    const { cache } = open();
    const options = { ...MINUTE, hardTimeout: 0.02 };
    const signals: AbortSignal[] = [];
    let finish: (value: string) => void = () => undefined;
    const load = ({ signal }: { signal: AbortSignal }) => {
      signals.push(signal);
      return new Promise<string>((resolve) => {
        finish = resolve;
      });
    };
    const error = await caught(cache.get('k', options, load));
    expect(cacheProblems.is(error, 'load-timeout')).toBe(true);
    await eventually(() => signals[0]?.aborted === true);
    finish('late');
    await eventually(async () => (await cache.find('k')) === 'late');
    const stuck = await caught(cache.get('other', options, () => new Promise(() => undefined)));
    expect(cacheProblems.is(stuck, 'load-timeout')).toBe(true);
    await eventually(() => signals[0]?.aborted === true);
    await eventually(async () => (await cache.get('other', options, () => 'new').catch(() => null)) === 'new');
  });

  test('hard timeout: a value that is stale but may stand in does', async () => {
    const { cache, clock, faults } = open();
    const options = { ...MINUTE, staleIfError: 600, hardTimeout: 0.02 };
    await cache.get('k', options, () => 'old');
    clock.turn(61_000);
    const hang = () => new Promise<string>(() => undefined);
    expect(await cache.get('k', options, hang)).toBe('old');
    // And nobody waits again soon.
    const startedAt = performance.now();
    for (let index = 0; index < 100; index++) expect(await cache.get('k', options, hang)).toBe('old');
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(faults).toHaveLength(1);
  });

  test('a failure that a thousand callers do not notice is told once', async () => {
    const { cache, clock, faults, store } = open();
    const options = { ...MINUTE, swr: 600 };
    await cache.get('k', options, () => 'old');
    clock.turn(61_000);
    const { load, waiting } = gated(() => 'new');
    for (let index = 0; index < 1_000; index++) expect(await cache.get('k', options, load)).toBe('old');
    waiting[0]?.reject(new Error('down'));
    await eventually(() => faults.length > 0);
    expect(await cache.get('k', options, load)).toBe('old');
    expect(faults).toHaveLength(1);
    expect(store.stats().spaces[0]).toMatchObject({ loads: 2, loadErrors: 1 });
  });

  test('what was made together does not end together', async () => {
    const { cache, clock } = open();
    for (let index = 0; index < 200; index++) await cache.get(`k${index}`, { ttl: 100 }, () => index);
    const alive = async () => {
      let count = 0;
      for (let index = 0; index < 200; index++) if ((await cache.find(`k${index}`)) !== undefined) count++;
      return count;
    };
    clock.turn(89_900);
    expect(await alive()).toBe(200);
    clock.turn(5_100);
    const middle = await alive();
    expect(middle).toBeGreaterThan(40);
    expect(middle).toBeLessThan(160);
    clock.turn(5_100);
    expect(await alive()).toBe(0);
  });

  test('a purge by tag ends every value that carries it, in every scope', async () => {
    const { cache } = open();
    const plugin = cache.scope('plugin');
    await cache.get('a', { ...MINUTE, tags: ['user-1', 'x'] }, () => 1);
    await plugin.get('a', { ...MINUTE, tags: ['user-1'] }, () => 2);
    await plugin.get('b', { ...MINUTE, tags: ['user-2'] }, () => 3);
    expect(await plugin.purge({ tags: ['user-1'] })).toBeNull();
    expect([await cache.find('a'), await plugin.find('a'), await plugin.find('b')]).toEqual([undefined, undefined, 3]);
  });

  test('keys, prefixes and all of a scope are its own', async () => {
    const { cache } = open();
    const plugin = cache.scope('plugin');
    for (const each of [cache, plugin]) for (const key of ['a', 'ab', 'c']) await each.get(key, MINUTE, () => key);
    expect(await plugin.purge({ keys: ['c', 'nothing'] })).toBe(1);
    await plugin.purge({ prefix: 'a' });
    expect([await plugin.find('ab'), await plugin.find('c'), await cache.find('ab'), await cache.find('c')]).toEqual([
      undefined,
      undefined,
      'ab',
      'c',
    ]);
    await cache.purge({ all: true });
    expect(await cache.find('ab')).toBeUndefined();
  });

  test('a purge wins over a load that is under way: who asks after it gets what is made after it', async () => {
    const { cache } = open();
    const options = { ...MINUTE, tags: ['t'] };
    for (const purge of [
      () => cache.purge({ tags: ['t'] }),
      () => cache.delete('k'),
      () => cache.purge({ all: true }),
    ]) {
      const old = gated(() => 'old');
      const before = cache.get('k', options, old.load);
      await eventually(() => old.waiting.length === 1);
      await purge();
      const fresh = gated(() => 'new');
      const after = cache.get('k', options, fresh.load);
      await eventually(() => fresh.waiting.length === 1);
      fresh.waiting[0]?.resolve();
      expect(await after).toBe('new');
      old.waiting[0]?.resolve();
      expect(await before).toBe('old');
      expect(await cache.find('k')).toBe('new');
      await cache.delete('k');
    }
  });

  test('a value that is set wins over a load that is under way', async () => {
    const { cache } = open();
    const old = gated(() => 'old');
    const before = cache.get('k', MINUTE, old.load);
    await eventually(() => old.waiting.length === 1);
    expect(cache.set('k', 'set', MINUTE)).toBe(true);
    old.waiting[0]?.resolve();
    await before;
    expect(await cache.find('k')).toBe('set');
  });

  test('after a soft purge the stale value is answered while it is renewed', async () => {
    const { cache } = open();
    const options = { ...MINUTE, swr: 60, tags: ['t'] };
    await cache.get('k', options, () => 'old');
    await cache.purge({ tags: ['t'], soft: true });
    expect(await cache.get('k', options, () => 'new')).toBe('old');
    await eventually(async () => (await cache.find('k')) === 'new');
  });

  test('a value that is too large is answered and not kept', async () => {
    const { cache } = open();
    let calls = 0;
    const get = () =>
      cache.get('k', MINUTE, () => {
        calls++;
        return 'x'.repeat(400_000);
      });
    expect((await get()).length).toBe(400_000);
    expect((await get()).length).toBe(400_000);
    expect(calls).toBe(2);
    expect(cache.set('k', 'x'.repeat(400_000), MINUTE)).toBe(false);
  });

  test('ten thousand keys and large values stay within the bound', async () => {
    const { cache, store } = open();
    for (let index = 0; index < 10_000; index++) {
      await cache.get(`variant-${index}`, MINUTE, () => 'x'.repeat(index % 100 === 0 ? 60_000 : 300));
    }
    const { memory } = store.stats();
    expect(memory.bytes).toBeLessThanOrEqual(memory.maxBytes);
    expect(memory.entries).toBeLessThan(2_000);
  });
});
