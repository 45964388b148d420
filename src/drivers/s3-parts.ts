import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
} from '@aws-sdk/client-s3';
import type { S3Bucket } from './s3-bucket.ts';
import { isMissing, isNotImplemented, type S3Fault } from './s3-faults.ts';

export const MAX_PARTS = 10_000;

/** What uploads in parts have in common, whoever sends the parts. */
export interface S3Parts {
  /** @returns the id of the upload. */
  create(key: string, type?: string): Promise<string>;
  /** The parts that the store has, by number. */
  list(key: string, uploadId: string): Promise<readonly ListedPart[] | null>;
  /**
   * Makes the object. `false` when the upload is not there and neither is an object of that size. A completion whose answer
   * was lost counts as done.
   */
  complete(key: string, uploadId: string, parts: readonly CompletedPart[], size: number): Promise<boolean>;
  /** Gives the upload up and frees its parts. Idempotent. */
  abort(key: string, uploadId: string): Promise<void>;
  /** Gives up uploads for keys that start with a prefix; `openedAt` is by the store's clock. */
  abortWhere(prefix: string, isMeant: (key: string, openedAt: number) => boolean): Promise<void>;
  /** Deletes the object. Idempotent. */
  remove(key: string): Promise<void>;
  /** Size of the object; `null` when there is none. */
  sizeOf(key: string): Promise<number | null>;
  /** Size and time of the object, by the store's clock; `null` when there is none. */
  stat(key: string): Promise<{ readonly bytes: number; readonly modifiedAt: number } | null>;
}

export interface ListedPart {
  readonly number: number;
  readonly size: number;
  readonly etag: string;
}

export function s3Parts(bucket: S3Bucket): S3Parts {
  const { client, name: Bucket } = bucket;
  const at = (key: string) => ({ Bucket, Key: bucket.toName(key) });
  const isGone = (fault: S3Fault) => fault.code === 'NoSuchUpload' || isMissing(fault);

  const stat: S3Parts['stat'] = async (key) => {
    try {
      const { ContentLength, LastModified } = await bucket.ask(client.send(new HeadObjectCommand(at(key))), isMissing);
      return { bytes: ContentLength ?? 0, modifiedAt: LastModified?.getTime() ?? bucket.now() };
    } catch (error) {
      if (isMissing(error as S3Fault)) return null;
      throw error;
    }
  };

  const sizeOf = async (key: string) => (await stat(key))?.bytes ?? null;

  const abort = async (key: string, UploadId: string): Promise<void> => {
    await bucket
      .ask(client.send(new AbortMultipartUploadCommand({ ...at(key), UploadId })), isGone)
      .catch(unless(isGone));
  };

  return {
    stat,
    sizeOf,
    async remove(key) {
      await bucket.ask(client.send(new DeleteObjectCommand(at(key))));
    },
    abort,
    async create(key, type) {
      const created = await bucket.ask(
        client.send(new CreateMultipartUploadCommand({ ...at(key), ...(type ? { ContentType: type } : {}) })),
      );
      return created.UploadId ?? '';
    },
    async list(key, UploadId) {
      const parts: ListedPart[] = [];
      let after: string | undefined | null;
      try {
        // The SDK's own paging never ends where a store names a next page that there is not.
        while (after !== null) {
          const command: ListPartsCommand = new ListPartsCommand({ ...at(key), UploadId, PartNumberMarker: after });
          const page = await bucket.ask(client.send(command), isGone);
          for (const { PartNumber = 0, Size = 0, ETag = '' } of page.Parts ?? []) {
            parts.push({ number: PartNumber, size: Size, etag: ETag });
          }
          after = page.IsTruncated ? page.NextPartNumberMarker : null;
        }
        return parts;
      } catch (error) {
        unless(isGone)(error);
        return null;
      }
    },
    async complete(key, UploadId, Parts, size) {
      const command = new CompleteMultipartUploadCommand({
        ...at(key),
        UploadId,
        MultipartUpload: { Parts: [...Parts] },
      });
      try {
        await bucket.ask(client.send(command), isGone);
      } catch (error) {
        // The answer of an attempt may have been lost after it took effect.
        if ((await sizeOf(key)) === size) return true;
        unless(isGone)(error);
        return false;
      }
      return true;
    },
    async abortWhere(prefix, isMeant) {
      const found: { readonly key: string; readonly id: string }[] = [];
      let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | null = {};
      try {
        while (marker) {
          const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
            Bucket,
            Prefix: bucket.toName(prefix),
            ...marker,
          });
          const page = await bucket.ask(client.send(command), isNotImplemented);
          for (const { Key = '', UploadId: id = '', Initiated } of page.Uploads ?? []) {
            const key = bucket.toKey(Key);
            if (isMeant(key, Initiated?.getTime() ?? 0)) found.push({ key, id });
          }
          marker = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : null;
        }
      } catch (error) {
        // What such a store keeps of an upload that died is for its own lifecycle rule.
        unless(isNotImplemented)(error);
      }
      for (const { key, id } of found) await abort(key, id);
    },
  };
}

function unless(isExpected: (fault: S3Fault) => boolean): (error: unknown) => void {
  return (error) => {
    if (!isExpected(error as S3Fault)) throw error;
  };
}
