import { HeadBucketCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { storageProblems } from '../kernel/problems.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { assertKey } from './object-key.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { s3DirectAccess } from './s3-direct-access.ts';
import { type DownloadTimes, s3Download } from './s3-download.ts';
import { GROWING } from './s3-growth.ts';
import { MARKS, type MarkTimes, s3Marks } from './s3-marks.ts';
import type { PartSender } from './s3-part-sender.ts';
import { MAX_PARTS, type S3Parts } from './s3-parts.ts';
import { PART_BYTES } from './s3-pieces.ts';
import { s3Put } from './s3-put.ts';

export type S3ObjectStoreOptions = MarkTimes & DownloadTimes;

export interface S3Tools {
  readonly bucket: S3Bucket;
  readonly parts: S3Parts;
  readonly sender: PartSender;
}

/** Who asks how the store is does not wait long for it. */
const CHECK_MS = 1_800;
/** A write is tried at most once in so long, to say that the store can be written to. */
const PROBE_EVERY_MS = 60_000;

/**
 * Objects in a bucket of any S3-compatible store. Any number of machines may share a bucket and prefix.
 *
 * A put sets a mark beside the object first (`s3-marks.ts`), so a crash at any point leaves either nothing, or a mark that
 * {@link ObjectStore.unsettled} finds once it is old. Unlike a disk, the store is not asked whether a key is taken: keys are
 * unique because their makers make them so.
 */
export function s3ObjectStore(tools: S3Tools, options: S3ObjectStoreOptions): ObjectStore {
  const { bucket, parts } = tools;
  const { client, name: Bucket } = bucket;
  const marks = s3Marks(bucket, options);
  let probedAt = Number.NEGATIVE_INFINITY;

  return {
    async put(key, body, { maxBytes = Number.POSITIVE_INFINITY, signal } = {}) {
      assertKey(key);
      const ready = marks.set(key);
      ready.catch(() => undefined);
      const sent = await s3Put(key, body, { maxBytes, signal, ready }, tools);
      // Had the mark grown old meanwhile, another machine may have swept the object.
      const outcome =
        'error' in sent || marks.isFresh(key) ? sent : { error: storageProblems.create('unavailable'), isOpen: false };
      if (!('error' in outcome)) return { key, ...outcome };

      await ready.catch(() => undefined);
      try {
        await parts.remove(key);
        if (outcome.isOpen) marks.leave(key);
        else await marks.clear(key);
      } catch {
        marks.leave(key);
      }
      throw outcome.error;
    },

    async settle(key) {
      assertKey(key);
      await marks.clear(key);
    },

    async *unsettled() {
      for (const key of await marks.stale()) {
        await parts.abortWhere(key, (other) => other === key);
        if ((await parts.sizeOf(key)) === null) await marks.clear(key);
        else yield key;
      }
    },

    async get(key, range) {
      assertKey(key);
      return s3Download(bucket, key, range, options);
    },

    async delete(key) {
      assertKey(key);
      await parts.remove(key);
      await marks.clearIfKnown(key);
    },

    async *list(prefix) {
      const pages = paginateListObjectsV2({ client }, { Bucket, Prefix: bucket.toName(prefix) })[
        Symbol.asyncIterator
      ]();
      for (let page = await bucket.ask(pages.next()); !page.done; page = await bucket.ask(pages.next())) {
        for (const { Key } of page.value.Contents ?? []) {
          const key = bucket.toKey(Key ?? '');
          if (!key.startsWith(MARKS) && !key.startsWith(GROWING)) yield key;
        }
      }
    },

    async check() {
      const signal = AbortSignal.timeout(CHECK_MS);
      if (performance.now() - probedAt < PROBE_EVERY_MS) {
        await bucket.ask(client.send(new HeadBucketCommand({ Bucket }), { abortSignal: signal }));
        return;
      }
      // It lies among the marks and is swept like one when its removal fails.
      await tools.sender.putWhole(`${MARKS}probe`, new Uint8Array(), { signal });
      await parts.remove(`${MARKS}probe`);
      probedAt = performance.now();
    },

    // The last part of a stream may be empty.
    maxObjectBytes: (MAX_PARTS - 1) * PART_BYTES,
    direct: s3DirectAccess({ bucket, parts, marks }),
  };
}
