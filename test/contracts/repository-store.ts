import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { RepositoryStore } from '../../src/ports/repository-store.ts';
import { bytes, collect, failureOf, from } from './object-store.ts';

export interface RepositoryStoreUnderTest {
  readonly store: RepositoryStore;
  /** Everything that is kept in any form, half-written objects included. */
  leftovers(): Promise<readonly string[]>;
  /** What this process may grow by while a large object is taken in, in bytes. */
  readonly growthBytes?: number;
  close(): Promise<void>;
}

/** What every {@link RepositoryStore} does, whatever it is made of. */
export function repositoryStoreContract(name: string, open: () => Promise<RepositoryStoreUnderTest>): void {
  describe(`${name} as the store of a repository`, () => {
    let subject: RepositoryStoreUnderTest;
    let store: RepositoryStore;
    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject.close());

    const read = async (key: string, range?: { first: number; last: number }) => {
      const body = await store.get(key, range);
      return body && Buffer.from(await new Response(body).arrayBuffer());
    };
    const keys = async (prefix: string) => (await collect(store.list(prefix))).map(({ key }) => key).sort();

    test.each([0, 1, 300_000, 1_048_576, 11_000_000])('gives back %d bytes as they were put', async (length) => {
      const whole = bytes(length, 3);
      await store.put('blobs/ab/one', from([whole.subarray(0, 70_000), whole.subarray(70_000)]));
      expect((await read('blobs/ab/one'))?.equals(whole)).toBe(true);
      expect(await store.stat('blobs/ab/one')).toMatchObject({ key: 'blobs/ab/one', bytes: length });
    });

    test.each([0, 300_000, 3_000_000])('keeps %d bytes that may become durable later', async (length) => {
      const whole = bytes(length, 7);
      await store.put('blobs/ab/later', from([whole.subarray(0, 70_000), whole.subarray(70_000)]), {
        isDeferred: true,
      });
      expect((await read('blobs/ab/later'))?.equals(whole)).toBe(true);
      await store.flush?.();
      expect((await read('blobs/ab/later'))?.equals(whole)).toBe(true);
    });

    test.each([0, 1, 300_000])('takes %d bytes whole, and gives them back into memory', async (length) => {
      const whole = bytes(length, 3);
      for (const isDeferred of [false, true]) {
        const key = `blobs/ab/whole-${isDeferred}`;
        await store.put(key, whole, { isDeferred });
        expect((await read(key))?.equals(whole)).toBe(true);
        const memory = new Uint8Array(length + 5);
        if (!store.read) continue;
        expect(await store.read(key, memory)).toBe(length);
        expect(whole.equals(memory.subarray(0, length))).toBe(true);
        expect(await store.read(key, memory.subarray(0, length >> 1))).toBe(length);
        expect(await store.read('blobs/ab/none', memory)).toBeNull();
      }
    });

    test('leaves nothing of one that may become durable later and fails', async () => {
      for (const length of [100, 3_000_000]) {
        async function* failing() {
          yield bytes(length);
          throw new Error('the source failed');
        }
        const failure = await failureOf(store.put('blobs/ab/later', failing(), { isDeferred: true }));
        expect(failure).toMatchObject({ message: 'the source failed' });
      }
      expect(await store.get('blobs/ab/later')).toBeNull();
      expect(await subject.leftovers()).toEqual([]);
    });

    test('gives ranges, of small objects and of large ones', async () => {
      const whole = bytes(6_000_000, 5);
      await store.put('a/large', from([whole]));
      await store.put('a/small', from([whole.subarray(0, 100)]));
      for (const [first, last] of [
        [0, 0],
        [10, 99],
        [99, 99],
      ] as const) {
        expect((await read('a/small', { first, last }))?.equals(whole.subarray(first, last + 1))).toBe(true);
      }
      const large = await read('a/large', { first: 1_000_001, last: 5_999_999 });
      expect(large?.equals(whole.subarray(1_000_001))).toBe(true);
    });

    test('has nothing under a key that was never put', async () => {
      expect(await store.get('a/none')).toBeNull();
      expect(await store.stat('a/none')).toBeNull();
      expect(await store.stat('a')).toBeNull();
      expect(await keys('a/')).toEqual([]);
    });

    test('replaces an object as a whole', async () => {
      await store.put('a/x', from([bytes(500_000, 1)]));
      await store.put('a/x', from([bytes(20, 2)]));
      expect((await read('a/x'))?.equals(bytes(20, 2))).toBe(true);
      expect(await keys('')).toEqual(['a/x']);
    });

    test('keeps the old object when its replacement fails', async () => {
      await store.put('a/x', from([bytes(10, 1)]));
      async function* broken() {
        yield bytes(300_000);
        throw new Error('the source broke');
      }
      await failureOf(store.put('a/x', broken()));
      expect((await read('a/x'))?.equals(bytes(10, 1))).toBe(true);
    });

    test('passes on the failure of the source and keeps nothing', async () => {
      const fault = new Error('the source broke');
      async function* broken() {
        yield bytes(7_000_000);
        throw fault;
      }
      expect(await failureOf(store.put('a/broken', broken()))).toBe(fault);
      expect(await store.stat('a/broken')).toBeNull();
      expect(await subject.leftovers()).toEqual([]);
    });

    test('ends with the reason of its signal even while the source is silent', async () => {
      const cancel = new AbortController();
      const reason = new Error('no longer wanted');
      async function* silent() {
        yield bytes(10);
        cancel.abort(reason);
        await new Promise(() => undefined);
      }
      expect(await failureOf(store.put('a/silent', silent(), { signal: cancel.signal }))).toBe(reason);
      expect(await failureOf(store.put('a/silent', from([bytes(1)]), { signal: cancel.signal }))).toBe(reason);
      expect(await subject.leftovers()).toEqual([]);
    });

    test('lists objects with their sizes and times, by any prefix', async () => {
      const since = Date.now();
      for (const key of ['blobs/ab/1', 'blobs/ab/12', 'blobs/cd/1', 'blobs.txt', 'lists/1']) {
        await store.put(key, from([bytes(key.length)]));
      }
      expect(await keys('blobs/')).toEqual(['blobs/ab/1', 'blobs/ab/12', 'blobs/cd/1']);
      expect(await keys('blobs/ab/1')).toEqual(['blobs/ab/1', 'blobs/ab/12']);
      expect(await keys('blobs/a')).toEqual(['blobs/ab/1', 'blobs/ab/12']);
      expect(await keys('blobs')).toEqual(['blobs.txt', 'blobs/ab/1', 'blobs/ab/12', 'blobs/cd/1']);
      expect((await keys('')).length).toBe(5);
      for (const object of await collect(store.list(''))) {
        expect(object.bytes).toBe(object.key.length);
        expect(Math.abs(object.modifiedAt - since)).toBeLessThan(10_000);
      }
    });

    test('deletes, also twice, also what never was', async () => {
      await store.put('a/x', from([bytes(10)]));
      await store.delete('a/x');
      await store.delete('a/x');
      await store.delete('b/never');
      expect(await store.get('a/x')).toBeNull();
      expect(await subject.leftovers()).toEqual([]);
    });

    test('puts many objects at once', async () => {
      const names = Array.from({ length: 60 }, (_, index) => `blobs/${index % 7}/${index}`);
      await Promise.all(names.map((key, index) => store.put(key, from([bytes(5_000, index)]))));
      for (const [index, key] of names.entries()) expect((await read(key))?.equals(bytes(5_000, index))).toBe(true);
      expect((await keys('')).length).toBe(60);
    });

    test('holds a bounded amount of memory while it takes in 192 MB', async () => {
      const chunk = bytes(64 * 1024, 7);
      const before = process.memoryUsage.rss();
      let peak = 0;
      async function* large() {
        for (let count = 0; count < 3072; count++) {
          if (count % 64 === 0) peak = Math.max(peak, process.memoryUsage.rss());
          yield chunk.slice();
        }
      }
      await store.put('a/large', large());
      expect((await store.stat('a/large'))?.bytes).toBe(192 * 2 ** 20);
      expect(peak - before).toBeLessThan(subject.growthBytes ?? 48 * 2 ** 20);
    });

    test('says that it can be written to, and leaves nothing behind', async () => {
      await store.check();
      expect(await subject.leftovers()).toEqual([]);
      expect(await keys('')).toEqual([]);
    });

    test('names its place without a secret', () => {
      expect(store.place).toMatch(/^(file:\/|s3:\/\/)/);
      expect(store.place).not.toMatch(/secret/i);
    });

    test.each(['', '/', 'a/', '/a', 'a//b', '..', 'a/../b', './a', 'a b', 'ä', 'a\0', 'a\\b', 'x'.repeat(500)])(
      'takes the key %p for a bug',
      async (key) => {
        for (const work of [
          () => store.put(key, from([])),
          () => store.get(key),
          () => store.stat(key),
          () => store.delete(key),
        ]) {
          expect(String(await failureOf(work()))).toContain('not an object key');
        }
      },
    );
  });
}
