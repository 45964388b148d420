import { CopyObjectCommand, GetObjectCommand, PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { storageProblems } from '../kernel/problems.ts';
import type { DirectAccess } from '../ports/direct-access.ts';
import { assertKey } from './object-key.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { isMissing, type S3Fault } from './s3-faults.ts';
import type { S3Marks } from './s3-marks.ts';
import type { S3Parts } from './s3-parts.ts';

export interface S3DirectAccessTools {
  readonly bucket: S3Bucket;
  readonly parts: S3Parts;
  readonly marks: S3Marks;
}

/** Presigned URLs (AWS SigV4 in the query) and copies inside the bucket. */
export function s3DirectAccess({ bucket, parts, marks }: S3DirectAccessTools): DirectAccess {
  const { client, name: Bucket } = bucket;
  const at = (key: string) => {
    assertKey(key);
    return { Bucket, Key: bucket.toName(key) };
  };

  return {
    downloadUrl: (key, { expiresInSeconds: expiresIn, type, disposition, cacheControl }) =>
      getSignedUrl(
        client,
        new GetObjectCommand({
          ...at(key),
          ResponseContentType: type,
          ResponseContentDisposition: disposition,
          ...(cacheControl ? { ResponseCacheControl: cacheControl } : {}),
        }),
        { expiresIn },
      ),

    async uploadRequest(key, { expiresInSeconds: expiresIn, size, type }) {
      const command = new PutObjectCommand({ ...at(key), ContentLength: size, ContentType: type });
      // What stands among the signed headers has to be sent as it is.
      const signableHeaders = new Set(['host', 'content-length', 'content-type']);
      const url = await getSignedUrl(client, command, { expiresIn, signableHeaders });
      return { url, headers: { 'content-type': type, 'content-length': String(size) } };
    },

    createParts: (key, type) => parts.create(at(key) && key, type),

    partUrl(key, UploadId, { number: PartNumber, size, expiresInSeconds: expiresIn }) {
      const command = new UploadPartCommand({ ...at(key), UploadId, PartNumber, ContentLength: size });
      return getSignedUrl(client, command, { expiresIn, signableHeaders: new Set(['host', 'content-length']) });
    },

    async completeParts(key, uploadId, count) {
      const listed = await parts.list(key, uploadId);
      // Its key is its own: an object there is what an earlier completion made.
      if (listed === null) return (await parts.sizeOf(key)) !== null;
      const wanted = listed.filter(({ number }) => number <= count);
      if (wanted.length !== count) return false;
      const size = wanted.reduce((sum, part) => sum + part.size, 0);
      const completed = wanted.map(({ number: PartNumber, etag: ETag }) => ({ PartNumber, ETag }));
      return parts.complete(key, uploadId, completed, size);
    },

    abortParts: (key, uploadId) => parts.abort(at(key) && key, uploadId),

    sweepParts: (prefix, olderThanMs) =>
      parts.abortWhere(prefix, (_key, openedAt) => bucket.now() - openedAt >= olderThanMs),

    sizeOf: (key) => parts.sizeOf(at(key) && key),

    async copy(from, to) {
      const CopySource = encodeURI(`${Bucket}/${at(from).Key}`);
      await marks.set(to);
      try {
        await bucket.ask(client.send(new CopyObjectCommand({ ...at(to), CopySource })), isMissing);
        const copied = await parts.sizeOf(to);
        if (copied === null) throw storageProblems.create('unavailable');
        return { size: copied };
      } catch (error) {
        // Whether it was made is not known; a sweep will look.
        marks.leave(to);
        if (isMissing(error as S3Fault)) return null;
        throw error;
      }
    },
  };
}
