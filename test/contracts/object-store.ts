import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { storageProblems } from '../../src/kernel/problems.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';

export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** Everything that is kept in any form, unsettled marks and half-written objects included. */
  leftovers(): Promise<readonly string[]>;
  /** What this process may grow by while a large object is taken in, in bytes; 48 MiB unless said. */
  readonly growthBytes?: number;
  close(): Promise<void>;
}

/** What every {@link ObjectStore} does, whatever it is made of. */
export function objectStoreContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} as an object store`, () => {
    let subject: StoreUnderTest;
    let store: ObjectStore;
    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject.close());

    test('gives back what was put, with its size and SHA-256', async () => {
      const chunks = [bytes(70_000, 1), bytes(0), bytes(1, 2), bytes(300_000, 3)];
      const whole = Buffer.concat(chunks);
      const stored = await store.put('files/one/a', from(chunks));
      expect(stored).toEqual({ key: 'files/one/a', size: whole.length, sha256: sha256(whole) });
      const found = await store.get('files/one/a');
      expect(found?.size).toBe(whole.length);
      expect(Buffer.compare(await read(found), whole)).toBe(0);
    });

    test.each([0, 1, 300_000])('gives %d bytes back into memory of the caller', async (length) => {
      const whole = bytes(length, 3);
      await store.put('files/memory', from([whole]));
      if (!store.read) return;
      const memory = new Uint8Array(length + 5);
      expect(await store.read('files/memory', memory)).toBe(length);
      expect(Buffer.compare(whole, memory.subarray(0, length))).toBe(0);
      expect(await store.read('files/memory', memory.subarray(0, length >> 1))).toBe(length);
      expect(await store.read('files/none', memory)).toBeNull();
    });

    test('holds on to none of the tiny chunks that a body may come in', async () => {
      const whole = bytes(10_000);
      async function* trickle() {
        const chunk = Buffer.alloc(1);
        for (const byte of whole) {
          chunk[0] = byte;
          yield chunk;
        }
      }
      expect((await store.put('files/trickle', trickle())).sha256).toBe(sha256(whole));
      expect(Buffer.compare(await read(await store.get('files/trickle')), whole)).toBe(0);
    });

    test('keeps what may become durable later, small and large', async () => {
      for (const [key, size] of [
        ['files/later/small', 1_000],
        ['files/later/large', 3_000_000],
      ] as const) {
        const whole = bytes(size);
        expect((await store.put(key, from([whole]), { isDeferred: true })).sha256).toBe(sha256(whole));
        await store.flush?.();
        expect(Buffer.compare(await read(await store.get(key)), whole)).toBe(0);
        await store.settle(key);
      }
    });

    test('takes a file that somebody fills, whole or not at all', async () => {
      const { putFile } = store;
      if (!putFile) return;
      await putFile('files/filled', async (path) => void (await Bun.write(path, 'filled')));
      expect((await read(await store.get('files/filled'))).toString()).toBe('filled');
      const failing = putFile('files/halfway', async (path) => {
        await Bun.write(path, 'half');
        throw new Error('no more');
      });
      expect(await failing.catch(String)).toContain('no more');
      expect([store.sizeNow?.('files/filled'), store.sizeNow?.('files/halfway')]).toEqual([6, null]);
      expect(await store.get('files/halfway')).toBeNull();
      await store.settle('files/filled');
      expect((await subject.leftovers()).filter((name) => name.includes('halfway'))).toEqual([]);
    });

    test('keeps an empty object', async () => {
      expect(await store.put('files/empty', from([]))).toEqual({
        key: 'files/empty',
        size: 0,
        sha256: sha256(Buffer.of()),
      });
      const found = await store.get('files/empty');
      expect([found?.size, (await read(found)).length]).toEqual([0, 0]);
    });

    const ranges = [
      { first: 0, last: 0 },
      { first: 3, last: 7 },
      { first: 9, last: 9 },
      { first: 0, last: 9 },
    ];
    test.each(ranges)('gives the inclusive range $first to $last', async (range) => {
      await store.put('files/digits', from([Buffer.from('01234'), Buffer.from('56789')]));
      const found = await store.get('files/digits', range);
      expect(found?.size).toBe(10);
      expect((await read(found)).toString()).toBe('0123456789'.slice(range.first, range.last + 1));
    });

    test('has nothing under a key that was never put', async () => {
      expect(await store.get('files/none')).toBeNull();
    });

    test('deletes, also twice, also what never was', async () => {
      await store.put('files/x', from([bytes(10)]));
      await store.delete('files/x');
      await store.delete('files/x');
      await store.delete('files/never');
      expect(await store.get('files/x')).toBeNull();
      expect(await subject.leftovers()).toEqual([]);
    });

    test('lists the keys that start with a prefix', async () => {
      for (const key of ['files/1/a', 'files/1/b', 'files/10/a', 'other/1']) await store.put(key, from([bytes(1)]));
      expect((await collect(store.list('files/1/'))).sort()).toEqual(['files/1/a', 'files/1/b']);
      expect((await collect(store.list('files/1'))).sort()).toEqual(['files/1/a', 'files/1/b', 'files/10/a']);
      expect((await collect(store.list(''))).length).toBe(4);
      expect(await collect(store.list('none/'))).toEqual([]);
    });

    test('takes exactly maxBytes and refuses one more', async () => {
      expect((await store.put('files/fits', from([bytes(60), bytes(40)]), { maxBytes: 100 })).size).toBe(100);
      const tooMuch = await failureOf(store.put('files/toomuch', from([bytes(60), bytes(41)]), { maxBytes: 100 }));
      expect(storageProblems.is(tooMuch, 'too-large')).toBe(true);
      expect(await store.get('files/toomuch')).toBeNull();
      await store.delete('files/fits');
      expect(await subject.leftovers()).toEqual([]);
    });

    test('stops reading a source that is too large', async () => {
      let yielded = 0;
      let isStopped = false;
      async function* endless() {
        try {
          for (;;) {
            yielded++;
            yield bytes(1000);
          }
        } finally {
          isStopped = true;
        }
      }
      await failureOf(store.put('files/endless', endless(), { maxBytes: 10_000 }));
      expect(isStopped).toBe(true);
      expect(yielded).toBeLessThan(20);
    });

    test('passes on the failure of the source and keeps nothing', async () => {
      const fault = new Error('the source broke');
      async function* broken() {
        yield bytes(300_000);
        throw fault;
      }
      expect(await failureOf(store.put('files/broken', broken()))).toBe(fault);
      expect(await store.get('files/broken')).toBeNull();
      expect(await subject.leftovers()).toEqual([]);
    });

    test('ends with the reason of its signal even while the source is silent', async () => {
      const cancel = new AbortController();
      const reason = new Error('no longer wanted');
      async function* silent() {
        yield bytes(10);
        await new Promise(() => undefined);
      }
      const put = failureOf(store.put('files/silent', silent(), { signal: cancel.signal }));
      cancel.abort(reason);
      expect(await put).toBe(reason);
      expect(await subject.leftovers()).toEqual([]);
    });

    test('settling is idempotent and leaves the object as it is', async () => {
      await store.put('files/s', from([bytes(10)]));
      await store.settle('files/s');
      await store.settle('files/s');
      expect((await store.get('files/s'))?.size).toBe(10);
    });

    test('does not call unsettled what a living process put', async () => {
      await store.put('files/alive', from([bytes(10)]));
      expect(await collect(store.unsettled())).toEqual([]);
      expect((await store.get('files/alive'))?.size).toBe(10);
    });

    test('puts many objects at once', async () => {
      const keys = Array.from({ length: 50 }, (_, index) => `files/many/${index}`);
      await Promise.all(keys.map((key, index) => store.put(key, from([bytes(5000, index)]))));
      for (const [index, key] of keys.entries()) {
        expect(Buffer.compare(await read(await store.get(key)), bytes(5000, index))).toBe(0);
      }
    });

    test('holds a bounded amount of memory while it takes in 192 MB', async () => {
      const chunk = bytes(64 * 1024, 7);
      const rssBefore = process.memoryUsage.rss();
      let peak = 0;
      async function* large() {
        for (let count = 0; count < 3072; count++) {
          if (count % 64 === 0) peak = Math.max(peak, process.memoryUsage.rss());
          yield chunk.slice();
        }
      }
      expect((await store.put('files/large', large())).size).toBe(192 * 2 ** 20);
      expect(peak - rssBefore).toBeLessThan(subject.growthBytes ?? 48 * 2 ** 20);
    });

    test('says that it can be written to', async () => {
      await store.check();
      expect(await subject.leftovers()).toEqual([]);
    });

    const strangeKeys = [
      '',
      '/',
      'a/',
      '/a',
      'a//b',
      '..',
      'a/../b',
      './a',
      'a b',
      'a~b',
      'ä',
      'a\0',
      'a\\b',
      'x'.repeat(500),
    ];
    test.each(strangeKeys)('takes the key %p for a bug', async (key) => {
      await expect(store.put(key, from([]))).rejects.toThrow('not an object key');
      await expect(store.get(key)).rejects.toThrow('not an object key');
      await expect(store.delete(key)).rejects.toThrow('not an object key');
      await expect(store.settle(key)).rejects.toThrow('not an object key');
    });
  });
}

/** Bytes that differ by seed. */
export function bytes(length: number, seed = 0): Buffer {
  const content = Buffer.alloc(length);
  for (let index = 0; index < length; index++) content[index] = (index * 31 + seed * 17) & 0xff;
  return content;
}

export async function* from(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('this was expected to fail');
}

async function read(found: Awaited<ReturnType<ObjectStore['get']>>): Promise<Buffer> {
  if (!found) throw new Error('there is no such object');
  return Buffer.from(await new Response(found.body).arrayBuffer());
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
