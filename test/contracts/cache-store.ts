import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { OpenCacheStore } from '../../src/modules/cache/store.ts';
import type { CacheDraft, CacheEntry, CacheSpace } from '../../src/ports/cache.ts';
import type { FakeClock } from '../support/fakes.ts';

export interface CacheStoreUnderTest {
  readonly store: OpenCacheStore;
  readonly clock: FakeClock;
  /** The same entries seen by a process that was started just now; the same store where nothing lies behind memory. */
  reopen(): Promise<OpenCacheStore>;
  close(): Promise<void>;
}

const SECOND = 1_000;
const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (entry: CacheEntry | null) => (entry ? new TextDecoder().decode(entry.body) : null);

/** What every {@link CacheStore} does, whatever lies behind it. */
export function cacheStoreContract(name: string, open: () => Promise<CacheStoreUnderTest>): void {
  describe(`a cache on ${name}`, () => {
    let subject: CacheStoreUnderTest;
    let store: OpenCacheStore;
    let space: CacheSpace;
    beforeEach(async () => {
      subject = await open();
      store = subject.store;
      space = store.space('data');
    });
    afterEach(() => subject.close());

    const draft = (text: string, more: Partial<CacheDraft> = {}): CacheDraft => {
      const now = subject.clock.now();
      return { body: bytes(text), meta: {}, freshUntil: now + 60 * SECOND, staleUntil: now + 120 * SECOND, ...more };
    };
    const put = async (key: string, text: string, more: Partial<CacheDraft> = {}, into = space) => {
      const entry = into.set(key, draft(text, more), into.begin());
      await store.settled();
      return entry;
    };
    /** As somebody sees it who has nothing in memory. */
    const afresh = async (key: string, of = 'data') => (await subject.reopen()).space(of).get(key);

    test('gives back what was stored, byte for byte, with everything beside it', async () => {
      const body = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 31) & 255);
      const storedAt = subject.clock.now();
      await put('k', '', { body, meta: { type: 'image/png', list: [1, '2', null] }, tags: ['a', 'b'] });
      for (const entry of [await space.get('k'), await afresh('k')]) {
        expect(entry).toMatchObject({ key: 'k', meta: { type: 'image/png', list: [1, '2', null] }, tags: ['a', 'b'] });
        expect(Buffer.compare(entry?.body ?? new Uint8Array(), body)).toBe(0);
        expect(entry?.createdAt).toBe(storedAt);
      }
      expect(await space.get('other')).toBeNull();
    });

    test('keeps an empty body, and text that looks like something else', async () => {
      for (const text of ['', '123', 'true', 'null', '{"a":1}', 'base64:AAAA']) {
        await put('k', text);
        expect(textOf(await afresh('k'))).toBe(text);
      }
    });

    test('keeps every key apart that a storage might confuse', async () => {
      const keys = ['http://x/a?u=1', 'http://x/a?u=2', 'p', 'p:q', 'p/q', 'p\\q', 'P', '../../p', ' p', 'p ', '', 'é'];
      keys.push('e\u0301', 'k'.repeat(300), `${'k'.repeat(300)}2`, '__proto__', 'constructor', 'a\nb', 'p$', '*');
      for (const [index, key] of keys.entries()) await put(key, String(index));
      const fresh = (await subject.reopen()).space('data');
      for (const [index, key] of keys.entries())
        expect([key, textOf(await fresh.get(key))]).toEqual([key, String(index)]);
    });

    test('keeps namespaces apart', async () => {
      const other = store.space('other');
      await put('k', 'one');
      await put('k', 'two', {}, other);
      expect(textOf(await afresh('k', 'data'))).toBe('one');
      expect(textOf(await afresh('k', 'other'))).toBe('two');
      await space.delete('k');
      expect(textOf(await afresh('k', 'other'))).toBe('two');
      expect(await afresh('k', 'data')).toBeNull();
    });

    test('tells fresh from stale, and forgets what is over', async () => {
      await put('k', 'v');
      subject.clock.turn(90 * SECOND);
      const entry = await space.get('k');
      expect(entry?.freshUntil).toBeLessThan(subject.clock.now());
      expect(textOf(await afresh('k'))).toBe('v');
      subject.clock.turn(31 * SECOND);
      expect(await space.get('k')).toBeNull();
      expect(await afresh('k')).toBeNull();
    });

    test('replaces', async () => {
      await put('k', 'a longer first value');
      await put('k', 'second');
      expect(textOf(await space.get('k'))).toBe('second');
      expect(textOf(await afresh('k'))).toBe('second');
    });

    test('deletes, and says whether there was something', async () => {
      await put('k', 'v');
      await put('kk', 'stays');
      expect(await space.delete('k')).toBe(true);
      expect(await space.delete('k')).toBe(false);
      expect(await space.get('k')).toBeNull();
      expect(await afresh('k')).toBeNull();
      expect(textOf(await afresh('kk'))).toBe('stays');
      await put('k', 'again');
      expect(textOf(await afresh('k'))).toBe('again');
    });

    test('purges by tag in every namespace, and takes new entries of the tag at once', async () => {
      const other = store.space('other');
      await put('one', '1', { tags: ['post-1', 'posts'] });
      await put('two', '2', { tags: ['posts'] }, other);
      await put('three', '3', { tags: ['post-11'] });
      expect(await store.purge({ tags: ['post-1'] })).toBeNull();
      expect(await space.get('one')).toBeNull();
      expect(await afresh('one')).toBeNull();
      expect(textOf(await afresh('two', 'other'))).toBe('2');
      await put('one', 'new', { tags: ['post-1', 'posts'] });
      expect(textOf(await afresh('one'))).toBe('new');
      await store.purge({ tags: ['posts'] });
      expect([await space.get('one'), await other.get('two'), await afresh('two', 'other')]).toEqual([
        null,
        null,
        null,
      ]);
      expect(textOf(await afresh('three'))).toBe('3');
    });

    test('purges keys and counts them', async () => {
      await put('one', '1');
      await put('two', '2');
      await put('three', '3');
      expect(await store.purge({ keys: ['one', 'two', 'nothing'] })).toBe(2);
      expect([await afresh('one'), await afresh('two')]).toEqual([null, null]);
      expect(textOf(await afresh('three'))).toBe('3');
    });

    test('purges by prefix of the key as it was given', async () => {
      for (const key of ['/blog/1', '/blog/2?x=1', '/blog', '/blogs', 'x/blog/1']) await put(key, key);
      expect(await store.purge({ prefix: '/blog/' })).toBeNull();
      const fresh = (await subject.reopen()).space('data');
      const left: (string | null)[] = [];
      for (const key of ['/blog/1', '/blog/2?x=1', '/blog', '/blogs', 'x/blog/1'])
        left.push(textOf(await fresh.get(key)));
      expect(left).toEqual([null, null, '/blog', '/blogs', 'x/blog/1']);
      await put('/blog/1', 'new');
      expect(textOf(await afresh('/blog/1'))).toBe('new');
    });

    test('purges everything, or one namespace', async () => {
      const other = store.space('other');
      await put('k', '1');
      await put('k', '2', {}, other);
      await store.purge({ all: true, spaces: ['other'] });
      expect(await afresh('k', 'other')).toBeNull();
      expect(textOf(await afresh('k'))).toBe('1');
      await store.purge({ all: true });
      expect(await space.get('k')).toBeNull();
      expect(await afresh('k')).toBeNull();
      expect(store.stats().memory).toMatchObject({ entries: 0, bytes: 0 });
    });

    test('a soft purge leaves a stale entry', async () => {
      await put('k', 'v', { tags: ['t'] });
      await put('other', 'v');
      expect(await store.purge({ tags: ['t'], soft: true })).toBeNull();
      for (const entry of [await space.get('k'), await afresh('k')]) {
        expect(textOf(entry)).toBe('v');
        expect(entry?.freshUntil).toBe(0);
      }
      expect((await space.get('other'))?.freshUntil).toBeGreaterThan(subject.clock.now());
      await put('k', 'new', { tags: ['t'] });
      expect((await space.get('k'))?.freshUntil).toBeGreaterThan(subject.clock.now());
    });

    test('a purge wins over what was being made meanwhile', async () => {
      const purges = [
        () => store.purge({ tags: ['t'] }),
        () => store.purge({ keys: ['k'] }),
        () => store.purge({ prefix: 'k' }),
        () => store.purge({ all: true }),
        () => space.delete('k'),
      ];
      for (const purge of purges) {
        const begunAt = space.begin();
        expect(space.isCurrent('k', ['t'], begunAt)).toBe(true);
        await purge();
        expect(space.isCurrent('k', ['t'], begunAt)).toBe(false);
        expect(space.set('k', draft('old', { tags: ['t'] }), begunAt)).toBeNull();
        expect(await space.get('k')).toBeNull();
        expect(await afresh('k')).toBeNull();
      }
    });

    test('keeps nothing that is over already, or larger than the bound', async () => {
      const now = subject.clock.now();
      expect(await put('k', 'v', { freshUntil: now - 2, staleUntil: now - 1 })).toBeNull();
      expect(await put('k', '', { body: new Uint8Array(300_001) })).toBeNull();
      expect(await afresh('k')).toBeNull();
    });

    test('lists entries by prefix, page after page', async () => {
      for (let index = 0; index < 70; index++) await put(`page/${index}`, 'v', { tags: ['t'] });
      await put('another', 'v');
      await put('page/x', 'v', {}, store.space('other'));
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.list({
          space: 'data',
          prefix: 'page/',
          limit: 25,
          ...(cursor === undefined ? {} : { cursor }),
        });
        expect(page.items.length).toBeLessThanOrEqual(25);
        for (const item of page.items) {
          expect(item).toMatchObject({ space: 'data', bytes: 1, tags: ['t'] });
          seen.push(item.key);
        }
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      expect(seen.toSorted()).toEqual(Array.from({ length: 70 }, (_, index) => `page/${index}`).toSorted());
      expect((await store.list({ prefix: 'page/', limit: 100 })).items).toHaveLength(71);
      await store.purge({ tags: ['t'] });
      expect((await store.list({ prefix: '', limit: 100 })).items).toHaveLength(2);
    });

    test('memory stays within its bound', async () => {
      for (let index = 0; index < 3_000; index++) await put(`k${index}`, 'x'.repeat(1_000));
      const { memory, spaces } = store.stats();
      expect(memory.bytes).toBeLessThanOrEqual(memory.maxBytes);
      expect(spaces.find(({ name }) => name === 'data')?.evictions).toBeGreaterThan(1_000);
      expect(textOf(await space.get('k2999'))).toBe('x'.repeat(1_000));
    });
  });
}
