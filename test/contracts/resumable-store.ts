import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { storageProblems } from '../../src/kernel/problems.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import type { ResumableStore } from '../../src/ports/resumable-store.ts';
import { bytes, collect, failureOf, from } from './object-store.ts';

export interface ResumableStoreUnderTest {
  readonly resumable: ResumableStore;
  /** Where finished objects are read. */
  readonly objects: ObjectStore;
  /** The same data as another process would open it, which remembers nothing. */
  reopen(): ResumableStore;
  /** Everything that is kept in any form. */
  leftovers(): Promise<readonly string[]>;
  close(): Promise<void>;
}

const MiB = 2 ** 20;

/** What every {@link ResumableStore} does, whatever it is made of. */
export function resumableStoreContract(name: string, open: () => Promise<ResumableStoreUnderTest>): void {
  describe(`${name} as a resumable store`, () => {
    let subject: ResumableStoreUnderTest;
    let store: ResumableStore;
    beforeEach(async () => {
      subject = await open();
      store = subject.resumable;
    });
    afterEach(() => subject.close());

    const content = async (key: string) =>
      Buffer.from(await new Response((await subject.objects.get(key))?.body).arrayBuffer());

    /** Parts that end within, at and beyond what a medium may have as its own unit. */
    const steps = [
      { title: 'one part', sizes: [1000] },
      { title: 'many small parts', sizes: [1, 2, 70_000, 3] },
      { title: 'parts around 5 MiB', sizes: [5 * MiB - 1, 1, 1, 5 * MiB] },
      { title: 'parts around 8 MiB', sizes: [8 * MiB, 17 * MiB + 5, 3] },
      { title: 'an empty part', sizes: [10, 0, 10] },
      { title: 'nothing at all', sizes: [] },
    ];
    test.each(steps)('grows by $title, in one process and over several', async ({ sizes }) => {
      for (const isNewProcess of [false, true]) {
        const key = `files/grow/${isNewProcess}`;
        const handle = await store.create(key);
        let offset = 0;
        const whole: Buffer[] = [];
        for (const [index, size] of sizes.entries()) {
          if (isNewProcess) store = subject.reopen();
          const part = bytes(size, index);
          whole.push(part);
          expect(await store.append(handle, offset, from(cut(part)))).toBe(offset + size);
          offset += size;
          expect(await store.size(handle)).toBe(offset);
        }
        const expected = Buffer.concat(whole);
        const finished = { key, size: offset, sha256: sha256(expected) };
        expect(await subject.objects.get(key)).toBeNull();
        expect(await store.finish(handle)).toEqual(finished);
        expect(Buffer.compare(await content(key), expected)).toBe(0);
        expect(await subject.reopen().finish(handle)).toEqual(finished);
        await store.settle(handle);
        await store.settle(handle);
        expect(Buffer.compare(await content(key), expected)).toBe(0);
        await subject.objects.delete(key);
        expect(await subject.leftovers()).toEqual([]);
      }
    });

    test('takes bytes at its end alone', async () => {
      const handle = await store.create('files/offset');
      await store.append(handle, 0, from([bytes(100)]));
      let isRead = false;
      async function* body() {
        isRead = true;
        yield bytes(10);
      }
      for (const offset of [0, 99, 101]) {
        expect(storageProblems.is(await failureOf(store.append(handle, offset, body())), 'wrong-offset')).toBe(true);
      }
      expect([isRead, await store.size(handle)]).toEqual([false, 100]);
    });

    test('keeps what arrived before the body broke, and goes on from there', async () => {
      const whole = bytes(11 * MiB, 5);
      const fault = new Error('the client went away');
      async function* broken() {
        yield* cut(whole.subarray(0, 10 * MiB + 77));
        throw fault;
      }
      const handle = await store.create('files/broken');
      expect(await failureOf(store.append(handle, 0, broken()))).toBe(fault);
      store = subject.reopen();
      expect(await store.size(handle)).toBe(10 * MiB + 77);
      await store.append(handle, 10 * MiB + 77, from([whole.subarray(10 * MiB + 77)]));
      expect((await store.finish(handle)).sha256).toBe(sha256(whole));
    });

    test('keeps what arrived when its signal ends it while the body is silent', async () => {
      const stop = new AbortController();
      const reason = new Error('somebody else wants to write');
      const silent = Promise.withResolvers<void>();
      async function* body() {
        yield bytes(1234, 1);
        silent.resolve();
        await new Promise(() => undefined);
      }
      const handle = await store.create('files/silent');
      const append = failureOf(store.append(handle, 0, body(), { signal: stop.signal }));
      await silent.promise;
      stop.abort(reason);
      expect(await append).toBe(reason);
      expect(await store.size(handle)).toBe(1234);
      await store.append(handle, 1234, from([bytes(1, 2)]));
      expect((await store.finish(handle)).sha256).toBe(sha256(Buffer.concat([bytes(1234, 1), bytes(1, 2)])));
    });

    for (const size of [1000, 9 * MiB + 1]) {
      test(`an atomic append of ${size} bytes that breaks leaves everything as it was`, async () => {
        const handle = await store.create('files/atomic');
        await store.append(handle, 0, from([bytes(6 * MiB, 1)]));
        const fault = new Error('the checksum is wrong');
        async function* wrong() {
          yield* cut(bytes(size, 2));
          throw fault;
        }
        for (let round = 0; round < 2; round++) {
          expect(await failureOf(store.append(handle, 6 * MiB, wrong(), { isAtomic: true }))).toBe(fault);
          expect(await store.size(handle)).toBe(6 * MiB);
        }
        store = subject.reopen();
        expect(await store.size(handle)).toBe(6 * MiB);
        expect(await store.append(handle, 6 * MiB, from(cut(bytes(size, 3))), { isAtomic: true })).toBe(6 * MiB + size);
        expect(await subject.reopen().size(handle)).toBe(6 * MiB + size);
        const { sha256: hash } = await store.finish(handle);
        expect(hash).toBe(sha256(Buffer.concat([bytes(6 * MiB, 1), bytes(size, 3)])));
        await store.abort(handle);
        expect(await subject.leftovers()).toEqual([]);
      });
    }

    test('an atomic append counts for nobody while it runs', async () => {
      const handle = await store.create('files/unverified');
      await store.append(handle, 0, from([bytes(100)]));
      const [arrived, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      async function* body() {
        yield* cut(bytes(9 * MiB));
        arrived.resolve();
        await goOn.promise;
      }
      const append = store.append(handle, 100, body(), { isAtomic: true });
      await arrived.promise;
      expect(await subject.reopen().size(handle)).toBe(100);
      goOn.resolve();
      expect(await append).toBe(9 * MiB + 100);
    });

    test('joins objects in their order and leaves them as they are', async () => {
      const parts = [bytes(6 * MiB + 1, 1), bytes(0), bytes(10, 2), bytes(5 * MiB, 3), bytes(1, 4)];
      const sources: string[] = [];
      for (const [index, part] of parts.entries()) {
        const source = await store.create(`files/part/${index}`);
        await store.append(source, 0, from(cut(part)));
        sources.push(source);
      }
      const handle = await store.create('files/whole');
      const whole = Buffer.concat(parts);
      expect(await store.concat(handle, sources)).toBe(whole.length);
      store = subject.reopen();
      // An answer may get lost, so that it is asked for again.
      expect(await store.concat(handle, sources)).toBe(whole.length);
      expect(await store.size(handle)).toBe(whole.length);
      expect(await store.finish(handle)).toEqual({ key: 'files/whole', size: whole.length, sha256: sha256(whole) });
      expect(Buffer.compare(await content('files/whole'), whole)).toBe(0);
      expect(await store.size(sources[0] as string)).toBe(6 * MiB + 1);
      for (const each of [handle, ...sources]) await store.abort(each);
      expect(await subject.leftovers()).toEqual([]);
    });

    test('stops joining when it is told to, and joins again from the start', async () => {
      const source = await store.create('files/part');
      await store.append(source, 0, from([bytes(6 * MiB, 1)]));
      const handle = await store.create('files/whole');
      const reason = new Error('no longer wanted');
      const stop = new AbortController();
      const joining = failureOf(store.concat(handle, [source, source], { signal: stop.signal }));
      stop.abort(reason);
      expect(await joining).toBe(reason);
      expect(await store.concat(handle, [source])).toBe(6 * MiB);
      expect((await store.finish(handle)).sha256).toBe(sha256(bytes(6 * MiB, 1)));
      for (const each of [handle, source]) await store.abort(each);
      expect(await subject.leftovers()).toEqual([]);
    });

    test('takes nothing more once it is finished', async () => {
      const handle = await store.create('files/done');
      await store.append(handle, 0, from([bytes(10)]));
      await store.finish(handle);
      const fault = await failureOf(store.append(handle, 10, from([bytes(1)])));
      expect(storageProblems.is(fault, 'wrong-offset')).toBe(true);
      expect((await content('files/done')).length).toBe(10);
    });

    test('an aborted object is gone, growing or published, also the second time', async () => {
      for (const isFinished of [false, true]) {
        const handle = await store.create('files/aborted');
        await store.append(handle, 0, from([bytes(6 * MiB)]));
        if (isFinished) await store.finish(handle);
        await subject.reopen().abort(handle);
        await store.abort(handle);
        expect(await store.size(handle)).toBeNull();
        expect(await subject.objects.get('files/aborted')).toBeNull();
        const works = [
          () => store.append(handle, 0, from([])),
          () => store.finish(handle),
          () => store.concat(handle, []),
        ];
        for (const work of works) expect(storageProblems.is(await failureOf(work()), 'gone')).toBe(true);
        expect(await subject.leftovers()).toEqual([]);
      }
    });

    test('lists what is neither settled nor aborted', async () => {
      const before = Date.now();
      const handles: string[] = [];
      for (const key of ['files/l/1', 'files/l/2', 'files/l/3']) handles.push(await store.create(key));
      const [grown, settled, aborted] = handles as [string, string, string];
      await store.append(grown, 0, from([bytes(6 * MiB)]));
      await store.finish(settled);
      await store.settle(settled);
      await store.abort(aborted);
      const listed = await collect(subject.reopen().list());
      expect(listed.map(({ handle, key }) => ({ handle, key }))).toEqual([{ handle: grown, key: 'files/l/1' }]);
      // Clocks of disks and servers are coarse.
      expect(listed[0]?.changedAt).toBeGreaterThan(before - 5000);
    });

    test('works on many objects at once', async () => {
      const handles = await Promise.all(Array.from({ length: 30 }, (_, index) => store.create(`files/many/${index}`)));
      await Promise.all(handles.map((handle, index) => store.append(handle, 0, from([bytes(3000, index)]))));
      const finished = await Promise.all(handles.map((handle) => store.finish(handle)));
      expect(finished.map(({ sha256: hash }) => hash)).toEqual(handles.map((_, index) => sha256(bytes(3000, index))));
    });

    test('holds a bounded amount of memory while 64 MB are added', async () => {
      const handle = await store.create('files/large');
      const chunk = bytes(64 * 1024, 7);
      const rssBefore = process.memoryUsage.rss();
      let peak = 0;
      async function* large() {
        for (let count = 0; count < 1024; count++) {
          if (count % 64 === 0) peak = Math.max(peak, process.memoryUsage.rss());
          yield chunk.slice();
        }
      }
      expect(await store.append(handle, 0, large())).toBe(64 * MiB);
      expect(peak - rssBefore).toBeLessThan(64 * MiB);
    });
  });
}

/** As a network delivers it. */
function cut(whole: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < whole.length; at += 65_521) chunks.push(whole.subarray(at, at + 65_521));
  return chunks;
}

function sha256(whole: Uint8Array): string {
  return createHash('sha256').update(whole).digest('hex');
}
