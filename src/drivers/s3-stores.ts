import type { ObjectStore } from '../ports/object-store.ts';
import type { ResumableStore } from '../ports/resumable-store.ts';
import { openBucket, type S3BucketOptions } from './s3-bucket.ts';
import { type S3ObjectStoreOptions, s3ObjectStore } from './s3-object-store.ts';
import { createPartSender } from './s3-part-sender.ts';
import { s3Parts } from './s3-parts.ts';
import { s3ResumableStore } from './s3-resumable-store.ts';

export type S3StoresOptions = S3BucketOptions & S3ObjectStoreOptions;

/** What a bucket holds: objects, and those that still grow. Nothing is asked of it yet. */
export function s3Stores(options: S3StoresOptions): {
  readonly objects: ObjectStore;
  readonly resumable: ResumableStore;
} {
  const bucket = openBucket(options);
  const tools = { bucket, parts: s3Parts(bucket), sender: createPartSender(bucket) };
  return { objects: s3ObjectStore(tools, options), resumable: s3ResumableStore(tools) };
}
