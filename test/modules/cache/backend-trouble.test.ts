import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createServer, type Server, type Socket } from 'node:net';
import { MemoryTier } from '../../../src/kernel/memory-tier.ts';
import { createDataCache } from '../../../src/modules/cache/data-cache.ts';
import { createCacheStore, type OpenCacheStore } from '../../../src/modules/cache/store.ts';
import type { CacheBackend } from '../../../src/ports/cache.ts';
import { systemClock } from '../../../src/ports/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { fakeClock } from '../../support/fakes.ts';
import { hasRedis, startRedis, type TestRedis } from '../sockets/redis-server.ts';
import { backendOf, smallStore, temporaryFolder } from './support.ts';

const MINUTE = { ttl: 60, jitter: 0 };
const onFault = () => undefined;

/** A backend in memory that can be told to hang or to fail. */
function unreliable() {
  const kept = new Map<string, Uint8Array>();
  const state = { mode: 'well' as 'well' | 'hangs' | 'fails', calls: 0 };
  const answer = async <T>(value: () => T): Promise<T> => {
    state.calls++;
    if (state.mode === 'hangs') return new Promise(() => undefined);
    if (state.mode === 'fails') throw new Error('the backend is broken');
    return value();
  };
  const backend: CacheBackend = {
    name: 'unreliable',
    expires: true,
    get: (id) => answer(() => kept.get(id) ?? null),
    set: (id, frame) => answer(() => void kept.set(id, frame)),
    delete: (id) => answer(() => void kept.delete(id)),
    list: (prefix) => answer(() => [...kept.keys()].filter((id) => id.startsWith(prefix))),
    close: async () => undefined,
  };
  return { backend, kept, state };
}

async function longest(count: number, work: (index: number) => Promise<unknown>): Promise<number> {
  let most = 0;
  for (let index = 0; index < count; index++) {
    const startedAt = performance.now();
    await work(index);
    most = Math.max(most, performance.now() - startedAt);
  }
  return most;
}

describe('a backend in trouble', () => {
  const stores: OpenCacheStore[] = [];
  const open = async (backend: CacheBackend, clock = fakeClock()) => {
    const store = createCacheStore({ clock, backend, memory: new MemoryTier(1_000_000), readMs: 30 });
    stores.push(store);
    await store.start();
    return { store, clock, cache: createDataCache({ store, clock, onFault }) };
  };
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.stop();
  });

  test('that hangs costs three short waits and then nothing; memory goes on', async () => {
    const { backend, state } = unreliable();
    const { store, cache } = await open(backend);
    state.mode = 'hangs';
    const startedAt = performance.now();
    for (let index = 0; index < 500; index++)
      expect(await cache.get<number>(`k${index}`, MINUTE, () => index)).toBe(index);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(store.stats().backend).toBe('down');
    const callsThen = state.calls;
    for (let index = 0; index < 500; index++) await cache.get(`more${index}`, MINUTE, () => index);
    expect(state.calls).toBe(callsThen);
    expect(await cache.get<number>('k499', MINUTE, () => -1)).toBe(499);
  });

  test('that fails is a miss, never an error', async () => {
    const { backend, state } = unreliable();
    const { store, cache } = await open(backend);
    state.mode = 'fails';
    for (let index = 0; index < 50; index++)
      expect(await cache.get<number>(`k${index}`, MINUTE, () => index)).toBe(index);
    expect(await store.purge({ keys: ['k1'] })).toBe(1);
    expect(await store.purge({ tags: ['t'] })).toBeNull();
    expect((await store.list({ prefix: 'k', limit: 10 })).items).toHaveLength(10);
  });

  test('does not hold on to more than a bounded amount while it hangs', async () => {
    const { backend, state, kept } = unreliable();
    const { store, clock } = await open(backend);
    state.mode = 'hangs';
    const space = store.space('data');
    const until = systemClock.now() + 600_000;
    for (let index = 0; index < 2_000; index++) {
      space.set(
        `k${index}`,
        { body: new Uint8Array(1_000), meta: {}, freshUntil: until, staleUntil: until },
        space.begin(),
      );
    }
    expect(state.calls).toBeLessThanOrEqual(520);
    // None of those calls will ever end, and yet there is a way back.
    await eventually(() => store.stats().backend === 'down');
    state.mode = 'well';
    clock.turn(60_000);
    await store.tick();
    expect(store.stats().backend).toBe('up');
    space.set('again', { body: new Uint8Array(1), meta: {}, freshUntil: until, staleUntil: until }, space.begin());
    await store.settled();
    expect([...kept.keys()].filter((id) => id.startsWith('v1:'))).toHaveLength(1);
  });

  test('is looked after behind the scenes, and used again when it is back', async () => {
    const { backend, state } = unreliable();
    const { store, cache, clock } = await open(backend);
    state.mode = 'fails';
    for (let index = 0; index < 5; index++) await cache.get(`k${index}`, MINUTE, () => index);
    expect(store.stats().backend).toBe('down');
    clock.turn(600);
    await store.tick();
    expect(store.stats().backend).toBe('down');
    state.mode = 'well';
    clock.turn(2_000);
    await store.tick();
    expect(store.stats().backend).toBe('up');
  });

  test('what was purged or replaced while it was away does not come back with it', async () => {
    const { backend, state, kept } = unreliable();
    const { store, cache, clock } = await open(backend);
    await cache.get('deleted', MINUTE, () => 'old');
    await cache.get('tagged', { ...MINUTE, tags: ['t'] }, () => 'old');
    await cache.get('replaced', MINUTE, () => 'old');
    await store.settled();
    state.mode = 'fails';
    for (let index = 0; index < 5; index++) await cache.get(`k${index}`, MINUTE, () => index);
    await cache.delete('deleted');
    await cache.purge({ tags: ['t'] });
    cache.set('replaced', 'new', MINUTE);
    state.mode = 'well';
    clock.turn(2_000);
    await store.tick();
    expect(store.stats().backend).toBe('up');
    // Somebody who has nothing in memory.
    const other = await open(backend, clock);
    expect(await other.cache.find('deleted')).toBeUndefined();
    expect(await other.cache.find('tagged')).toBeUndefined();
    expect(await other.cache.find<string>('replaced')).not.toBe('old');
    expect(kept.size).toBeLessThan(10);
  });

  test('a purge is known to a process that starts later, and to one that heard nothing', async () => {
    const { backend } = unreliable();
    const { store, cache, clock } = await open(backend);
    const deaf = await open(backend, clock);
    await cache.get('k', { ...MINUTE, tags: ['t'] }, () => 'old');
    await store.settled();
    expect(await deaf.cache.find<string>('k')).toBe('old');
    await cache.purge({ tags: ['t'] });
    await deaf.store.tick();
    expect(await deaf.cache.find('k')).toBeUndefined();
    expect(await (await open(backend, clock)).cache.find('k')).toBeUndefined();
  });

  test('frames that are cut, foreign, of another key or from the future are misses', async () => {
    const { backend, kept } = unreliable();
    const { store, cache, clock } = await open(backend);
    for (const key of ['a', 'b']) await cache.get(key, MINUTE, () => `the value of ${key}`);
    await store.settled();
    const [one, two] = [...kept].filter(([id]) => id.startsWith('v1:'));
    if (!one || !two) throw new Error('nothing was stored');
    const flipped = one[1].slice();
    flipped[flipped.length - 3] = (flipped.at(-3) ?? 0) ^ 1;
    const grown = new Uint8Array([...one[1], 0]);
    const bad = [
      new Uint8Array(),
      new Uint8Array(3),
      one[1].slice(0, 40),
      one[1].slice(0, -1),
      grown,
      flipped,
      two[1],
      new TextEncoder().encode('{"value":"poison","expires":9999999999999}'),
      new Uint8Array(1_000).fill(255),
    ];
    for (const frame of bad) {
      kept.set(one[0], frame);
      const other = await open(backend, clock);
      expect(await other.cache.find('a')).toBeUndefined();
    }
    kept.set(one[0], one[1]);
    expect(await (await open(backend, clock)).cache.find<string>('a')).toBe('the value of a');
  });

  test('the janitor of a backend that expires nothing removes what is over, purged or unreadable, and the oldest of too much', async () => {
    await using folder = await temporaryFolder();
    const clock = fakeClock();
    const backend = await backendOf('fs', folder.path);
    if (!backend) throw new Error('no backend');
    const store = smallStore({ clock, backend, backendBytes: 20_000 });
    stores.push(store);
    await store.start();
    const cache = createDataCache({ store, clock, onFault });
    await cache.get('over', { ttl: 1, jitter: 0 }, () => 'x');
    await cache.get('purged', { ...MINUTE, tags: ['t'] }, () => 'x');
    await backend.set('v1:data:00:torn', new Uint8Array(10), 60);
    for (let index = 0; index < 30; index++) {
      clock.turn(10);
      await cache.get(`k${index}`, { ttl: 600, jitter: 0 }, () => 'x'.repeat(1_000));
    }
    await cache.purge({ tags: ['t'] });
    await store.settled();
    clock.turn(2_000);
    expect((await backend.list('v1:')).length).toBe(33);
    expect(await store.sweep()).toBeGreaterThan(12);
    const left = (await store.list({ prefix: '', limit: 100 })).items.map(({ key }) => key);
    expect(left).not.toContain('k0');
    expect(left).toContain('k29');
    expect(left.length).toBeLessThan(20);
    expect((await backend.list('v1:')).length).toBe(left.length);
  });
});

describe('Redis that does not answer', () => {
  test('a server that accepts and says nothing is waited for at the start only, and not long', async () => {
    const sockets: Socket[] = [];
    const server: Server = createServer((socket) => void sockets.push(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const store = createCacheStore({
      clock: systemClock,
      backend: await backendOf('redis', `redis://127.0.0.1:${port}`),
      memory: new MemoryTier(1_000_000),
    });
    const startedAt = performance.now();
    await store.start();
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    const cache = createDataCache({ store, clock: systemClock, onFault });
    const most = await longest(200, (index) => cache.get(`k${index}`, MINUTE, () => index));
    expect(most).toBeLessThan(1_000);
    expect(await cache.find<number>('k199')).toBe(199);
    await store.stop();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe.skipIf(!hasRedis)('Redis that stops in the middle', () => {
  let redis: TestRedis;
  let store: OpenCacheStore;
  beforeEach(async () => {
    redis = await startRedis();
    store = createCacheStore({
      clock: systemClock,
      backend: await backendOf('redis', redis.url),
      memory: new MemoryTier(1_000_000),
    });
    await store.start();
    await eventually(() => store.stats().backend === 'up');
  });
  afterEach(async () => {
    redis.wake();
    await store.stop();
    await redis[Symbol.asyncDispose]();
  });

  test('asleep: every request is answered, with a few short waits in all; awake: used again', async () => {
    const cache = createDataCache({ store, clock: systemClock, onFault });
    await cache.get('before', MINUTE, () => 'kept');
    redis.sleep();
    const startedAt = performance.now();
    for (let index = 0; index < 300; index++)
      expect(await cache.get<number>(`k${index}`, MINUTE, () => index)).toBe(index);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(await cache.find<string>('before')).toBe('kept');
    expect(store.stats().backend).toBe('down');
    redis.wake();
    await eventually(() => store.stats().backend === 'up', 20_000);
  });

  test('killed and empty again: nothing fails, and what is made is shared again', async () => {
    const cache = createDataCache({ store, clock: systemClock, onFault });
    await redis.kill();
    for (let index = 0; index < 100; index++)
      expect(await cache.get<number>(`k${index}`, MINUTE, () => index)).toBe(index);
    await redis.start();
    await eventually(() => store.stats().backend === 'up', 20_000);
    await cache.get('after', MINUTE, () => 'shared');
    await store.settled();
    const other = createCacheStore({
      clock: systemClock,
      backend: await backendOf('redis', redis.url),
      memory: new MemoryTier(1_000_000),
      readMs: 2_000,
    });
    await other.start();
    await eventually(() => other.stats().backend === 'up');
    const elsewhere = createDataCache({ store: other, clock: systemClock, onFault });
    expect(await elsewhere.find<string>('after')).toBe('shared');
    await other.stop();
  });
});
