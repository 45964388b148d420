import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { randomToken } from '../kernel/ids.ts';
import type { RepositoryStore } from '../ports/repository-store.ts';
import { toChunks } from './chunks.ts';
import { assertKey } from './object-key.ts';
import { openBucket, type S3BucketOptions } from './s3-bucket.ts';
import { type DownloadTimes, s3Download } from './s3-download.ts';
import { createPartSender } from './s3-part-sender.ts';
import { s3Parts } from './s3-parts.ts';
import { s3Put } from './s3-put.ts';

/** Objects that come and go to see whether the store can be written to; no key begins like this. */
const PROBE = '.probe-';
/** An upload in parts that was begun so long ago belongs to nobody any more. */
const LEFTOVER_MS = 24 * 3_600_000;

export type S3RepositoryStoreOptions = S3BucketOptions & DownloadTimes;

/**
 * A repository in a bucket of any S3-compatible store, below a prefix. A put whose last request got no answer is taken for failed,
 * and its object stays when it was taken after all: it may be what was there before, which others need.
 */
export function s3RepositoryStore(options: S3RepositoryStoreOptions): RepositoryStore {
  const bucket = openBucket(options);
  const { client, name: Bucket } = bucket;
  const parts = s3Parts(bucket);
  const sender = createPartSender(bucket);
  const ready = Promise.resolve();

  async function* list(prefix: string) {
    const pages = paginateListObjectsV2({ client }, { Bucket, Prefix: bucket.toName(prefix) })[Symbol.asyncIterator]();
    for (let page = await bucket.ask(pages.next()); !page.done; page = await bucket.ask(pages.next())) {
      for (const { Key = '', Size = 0, LastModified } of page.value.Contents ?? []) {
        const key = bucket.toKey(Key);
        if (key.startsWith(PROBE)) continue;
        yield { key, bytes: Size, modifiedAt: LastModified?.getTime() ?? bucket.now() };
      }
    }
  }

  return {
    place: `s3://${Bucket}${options.prefix ? `/${options.prefix}` : ''}`,
    async put(key, body, { signal } = {}) {
      assertKey(key);
      const maxBytes = Number.POSITIVE_INFINITY;
      const sent = await s3Put(key, toChunks(body), { maxBytes, signal, ready }, { sender, parts });
      if ('error' in sent) throw sent.error;
    },
    async get(key, range) {
      assertKey(key);
      const found = await s3Download(bucket, key, range, options);
      return found && (found.body instanceof Blob ? found.body.stream() : found.body);
    },
    async stat(key) {
      assertKey(key);
      return parts.stat(key).then((found) => found && { key, ...found });
    },
    list,
    async delete(key) {
      assertKey(key);
      await parts.remove(key);
    },
    async check() {
      const probe = `${PROBE}${randomToken(9)}`;
      await sender.putWhole(probe, new Uint8Array());
      await parts.remove(probe);
      await parts.abortWhere('', (_, openedAt) => bucket.now() - openedAt > LEFTOVER_MS);
    },
  };
}
