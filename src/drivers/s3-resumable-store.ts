import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { LruMap } from '../kernel/lru.ts';
import { storageProblems } from '../kernel/problems.ts';
import type { ResumableStore } from '../ports/resumable-store.ts';
import { abortable } from './abortable.ts';
import { assertKey } from './object-key.ts';
import { s3Download } from './s3-download.ts';
import { GROWING, type Growth, s3Growths } from './s3-growth.ts';
import type { S3Tools } from './s3-object-store.ts';
import { PART_BYTES } from './s3-pieces.ts';

/** Growing objects whose hash so far is remembered. */
const CARRIED = 10_000;

/** The hash of all that counts, true for one version alone. */
interface Carried {
  readonly version: string;
  readonly hash: Bun.CryptoHasher;
}

/**
 * Growing objects as uploads in parts; the handle is the key. Whole parts go up while the bytes arrive; what is left at the end of
 * an append lies in an object of its own until the next one comes. What counts is said by one small object (`s3-growth.ts`).
 *
 * The hash is kept in memory while this process alone adds to an object, else the object is read again at the end.
 */
export function s3ResumableStore({ bucket, parts, sender }: S3Tools): ResumableStore {
  const growths = s3Growths(bucket);
  const carried = new LruMap<string, Carried>(CARRIED);

  const takeCarried = (handle: string, growth: Growth): Bun.CryptoHasher | null => {
    const known = carried.get(handle);
    carried.delete(handle);
    if (sizeOf(growth) === 0) return new Bun.CryptoHasher('sha256');
    return known?.version === growth.version ? known.hash : null;
  };

  /** Adds a stream behind what counts, and lets it count: part by part, or all at the end. */
  const grow = async (
    handle: string,
    before: Growth,
    body: AsyncIterable<Uint8Array>,
    hash: Bun.CryptoHasher | null,
    { signal, isAtomic }: { readonly signal: AbortSignal | undefined; readonly isAtomic: boolean },
  ): Promise<Growth> => {
    let growth = before;
    const tail = await growths.readTail(handle, before);
    let uploadId = before.uploadId;
    let failure: { readonly error: unknown } | null = null;
    const source = (async function* () {
      if (tail.length > 0) yield tail;
      try {
        for await (const chunk of abortable(body, signal)) {
          hash?.update(chunk);
          yield chunk;
        }
      } catch (error) {
        // What arrived is kept all the same.
        failure = { error };
      }
    })();
    const sent = await sender.send(source, {
      firstNumber: before.parts + 1,
      open: async () => {
        if (uploadId === null) {
          uploadId = await parts.create(handle);
          growth = await growths.save(handle, { ...growth, uploadId });
        }
        return { key: handle, uploadId };
      },
      onWhole: async (count) => {
        if (!isAtomic) growth = await growths.save(handle, { ...growth, uploadId, parts: count, tailBytes: 0 });
      },
    });
    if ('error' in sent) throw sent.error;
    // TypeScript does not see that the generator assigns it.
    const broken = failure as { readonly error: unknown } | null;
    const { rest, count } = sent;
    try {
      if (broken && isAtomic) throw broken.error;
      const bytes = await rest.load(new AbortController().signal);
      const tailSlot = bytes.length > 0 ? await growths.writeTail(handle, growth, bytes) : growth.tailSlot;
      growth = await growths.save(handle, { ...growth, uploadId, parts: count, tailBytes: bytes.length, tailSlot });
    } finally {
      rest.release();
    }
    if (hash) carried.set(handle, { version: growth.version, hash });
    if (broken) throw broken.error;
    return growth;
  };

  /** Makes the object out of what counts; nothing can be added from then on. */
  const publish = async (handle: string, before: Growth): Promise<Growth> => {
    if (before.state === 'finished') return before;
    const growth = before.state === 'growing' ? await growths.save(handle, { ...before, state: 'finishing' }) : before;
    const known = carried.get(handle);
    if (known?.version === before.version) carried.set(handle, { ...known, version: growth.version });
    const size = sizeOf(growth);
    if (growth.uploadId === null || growth.parts === 0) {
      await sender.putWhole(handle, await growths.readTail(handle, growth));
      return growth;
    }
    if ((await parts.sizeOf(handle)) === size) return growth;
    if (growth.tailBytes > 0) {
      const tail = await growths.readTail(handle, growth);
      await sender.putPart({ key: handle, uploadId: growth.uploadId }, growth.parts + 1, tail);
    }
    const count = growth.parts + (growth.tailBytes > 0 ? 1 : 0);
    const listed = (await parts.list(handle, growth.uploadId)) ?? [];
    const completed = listed
      .filter(({ number }) => number <= count)
      .map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
    if (completed.length !== count || !(await parts.complete(handle, growth.uploadId, completed, size))) {
      throw storageProblems.create('unavailable', { cause: new Error('parts of a growing object are missing') });
    }
    return growth;
  };

  async function* contentOf(handle: string): AsyncGenerator<Uint8Array> {
    const object = await s3Download(bucket, handle, undefined);
    if (!object) throw storageProblems.create('gone');
    const body = object.body instanceof Blob ? object.body.stream() : object.body;
    yield* body as unknown as AsyncIterable<Uint8Array>;
  }

  const hashOf = async (handle: string): Promise<Bun.CryptoHasher> => {
    const hash = new Bun.CryptoHasher('sha256');
    for await (const chunk of contentOf(handle)) hash.update(chunk);
    return hash;
  };

  return {
    async create(key) {
      assertKey(key);
      await growths.save(key, EMPTY);
      return key;
    },

    async append(handle, offset, body, { signal, isAtomic = false } = {}) {
      const before = await growths.get(handle);
      if (before.state !== 'growing' || offset !== sizeOf(before)) throw storageProblems.create('wrong-offset');
      const hash = takeCarried(handle, before);
      const hashBefore = isAtomic ? (hash?.copy() ?? null) : null;
      try {
        return sizeOf(await grow(handle, before, body, hash, { signal, isAtomic }));
      } catch (error) {
        if (hashBefore) carried.set(handle, { version: before.version, hash: hashBefore });
        throw error;
      }
    },

    async size(handle) {
      const growth = await growths.find(handle);
      return growth && sizeOf(growth);
    },

    async concat(handle, sources, { signal } = {}) {
      const before = await growths.get(handle);
      if (before.uploadId !== null) await parts.abort(handle, before.uploadId);
      const empty = await growths.save(handle, EMPTY);
      // Parts cannot be read before they are an object.
      for (const source of sources) {
        signal?.throwIfAborted();
        await publish(source, await growths.get(source));
      }
      const content = (async function* () {
        for (const source of sources) yield* contentOf(source);
      })();
      const hash = new Bun.CryptoHasher('sha256');
      return sizeOf(await grow(handle, empty, content, hash, { signal, isAtomic: true }));
    },

    async finish(key) {
      const growth = await publish(key, await growths.get(key));
      const size = sizeOf(growth);
      if (growth.sha256 !== null) return { key, size, sha256: growth.sha256 };
      const sha256 = (takeCarried(key, growth) ?? (await hashOf(key))).digest('hex');
      if ((await parts.sizeOf(key)) !== size) throw storageProblems.create('unavailable');
      await growths.save(key, { ...growth, state: 'finished', sha256 });
      return { key, size, sha256 };
    },

    async settle(handle) {
      carried.delete(handle);
      const growth = await growths.find(handle);
      if (!growth) return;
      // A crash may have left uploads that nothing speaks of.
      if (growth.uploadId !== null) await parts.abortWhere(handle, (other) => other === handle);
      await growths.remove(handle);
    },

    async abort(handle) {
      carried.delete(handle);
      const growth = await growths.find(handle);
      if (!growth) return;
      await parts.abortWhere(handle, (other) => other === handle);
      if (growth.uploadId !== null) await parts.abort(handle, growth.uploadId);
      if (growth.state !== 'growing') await parts.remove(handle);
      await growths.remove(handle);
    },

    async *list() {
      const place = bucket.toName(GROWING);
      const pages = paginateListObjectsV2({ client: bucket.client }, { Bucket: bucket.name, Prefix: place });
      const iterator = pages[Symbol.asyncIterator]();
      for (let page = await bucket.ask(iterator.next()); !page.done; page = await bucket.ask(iterator.next())) {
        for (const { Key = '', LastModified } of page.value.Contents ?? []) {
          if (Key.includes('@', place.length)) continue;
          const key = Key.slice(place.length).replaceAll('~', '/');
          yield { handle: key, key, changedAt: LastModified?.getTime() ?? bucket.now() };
        }
      }
    },
  };
}

const EMPTY: Omit<Growth, 'version'> = {
  state: 'growing',
  uploadId: null,
  parts: 0,
  tailBytes: 0,
  tailSlot: 'a',
  sha256: null,
};

function sizeOf({ parts, tailBytes }: Growth): number {
  return parts * PART_BYTES + tailBytes;
}
