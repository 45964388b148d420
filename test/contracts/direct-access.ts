import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { DirectAccess } from '../../src/ports/direct-access.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import { bytes, from } from './object-store.ts';

export interface DirectAccessUnderTest {
  readonly store: ObjectStore;
  /** Everything that is kept in any form. */
  leftovers(): Promise<readonly string[]>;
}

const MiB = 2 ** 20;
const expiresInSeconds = 60;

/** What every {@link DirectAccess} does, whatever store it leads to. */
export function directAccessContract(name: string, open: () => Promise<DirectAccessUnderTest>): void {
  describe(`${name} as a store that clients reach`, () => {
    let subject: DirectAccessUnderTest;
    let store: ObjectStore;
    let direct: DirectAccess;
    beforeEach(async () => {
      subject = await open();
      store = subject.store;
      if (!store.direct) throw new Error('this store has no direct access');
      direct = store.direct;
    });
    afterEach(async () => {
      for await (const key of store.list('')) await store.delete(key);
      expect(await subject.leftovers()).toEqual([]);
    });

    const read = async (key: string) => Buffer.from(await new Response((await store.get(key))?.body).arrayBuffer());
    const put = (url: string, body: Buffer<ArrayBuffer>, headers: Readonly<Record<string, string>> = {}) =>
      fetch(url, { method: 'PUT', headers, body });

    test('takes exactly the bytes and the type that were signed for', async () => {
      const [body, type] = [bytes(70_000, 1) as Buffer<ArrayBuffer>, 'image/png'];
      const { url, headers } = await direct.uploadRequest('direct/a', { expiresInSeconds, size: body.length, type });
      expect((await put(url, bytes(70_001) as Buffer<ArrayBuffer>, { 'content-type': type })).status).toBe(403);
      expect((await put(url, body, { 'content-type': 'text/html' })).status).toBe(403);
      expect((await put(url.replace('direct/a', 'direct/b'), body, headers)).status).toBe(403);
      expect(await store.get('direct/a')).toBeNull();
      expect((await put(url, body, headers)).status).toBe(200);
      expect(Buffer.compare(await read('direct/a'), body)).toBe(0);
    });

    test('gives an object with the headers that were signed', async () => {
      await store.put('files/a', from([bytes(1000, 1)]));
      await store.settle('files/a');
      const disposition = 'attachment; filename="a b.png"';
      const url = await direct.downloadUrl('files/a', { expiresInSeconds, type: 'image/png', disposition });
      const answer = await fetch(url);
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/png']);
      expect(answer.headers.get('content-disposition')).toBe(disposition);
      expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), bytes(1000, 1))).toBe(0);
      expect((await fetch(url.replace(/attachment/, 'inline'))).status).toBe(403);
    });

    test('makes an object of parts, when all are there, and again', async () => {
      const parts = [bytes(5 * MiB, 1), bytes(5 * MiB, 2), bytes(10, 3)] as Buffer<ArrayBuffer>[];
      const id = await direct.createParts('direct/parts', 'video/mp4');
      for (const [index, part] of parts.entries()) {
        expect(await direct.completeParts('direct/parts', id, parts.length)).toBe(false);
        const url = await direct.partUrl('direct/parts', id, {
          number: index + 1,
          size: part.length,
          expiresInSeconds,
        });
        expect((await put(url, bytes(part.length + 1) as Buffer<ArrayBuffer>)).status).toBe(403);
        expect((await put(url, part)).status).toBe(200);
      }
      expect(await direct.completeParts('direct/parts', id, parts.length)).toBe(true);
      expect(await direct.completeParts('direct/parts', id, parts.length)).toBe(true);
      expect(Buffer.compare(await read('direct/parts'), Buffer.concat(parts))).toBe(0);
    });

    test('frees parts that are given up, by their id or by their age', async () => {
      const one = await direct.createParts('direct/one', 'x/y');
      await direct.abortParts('direct/one', one);
      await direct.abortParts('direct/one', one);
      await direct.createParts('direct/two', 'x/y');
      await direct.createParts('other/three', 'x/y');
      await direct.sweepParts('direct/', 3_600_000);
      expect((await subject.leftovers()).length).toBe(2);
      // Clocks of stores are coarse.
      await direct.sweepParts('direct/', -5_000);
      expect((await subject.leftovers()).length).toBe(1);
      await direct.sweepParts('', -5_000);
    });

    test('copies inside the store', async () => {
      const content = bytes(6 * MiB, 4);
      await store.put('files/from', from([content]));
      await store.settle('files/from');
      expect([await direct.sizeOf('files/from'), await direct.sizeOf('files/never')]).toEqual([content.length, null]);
      expect(await direct.copy('files/from', 'files/to')).toEqual({ size: content.length });
      await store.settle('files/to');
      expect(Buffer.compare(await read('files/to'), content)).toBe(0);
      expect(await direct.copy('files/never', 'files/nothing')).toBeNull();
      await store.delete('files/nothing');
      await store.settle('files/nothing');
    });
  });
}
