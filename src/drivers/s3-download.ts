import { GetObjectCommand } from '@aws-sdk/client-s3';
import { storageProblems } from '../kernel/problems.ts';
import type { ByteRange, ObjectBody } from '../ports/object-store.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { isMissing, type S3Fault } from './s3-faults.ts';

/** A body that stays silent for so long is taken up again from where it stopped. */
const STALL_MS = 20_000;
/** Times in a row that a body may stop without a byte in between. */
const RESUMES = 3;
/** What is this small is read before it is handed on, since Bun then sends it with its length. */
const WHOLE_BYTES = 256 * 1024;

export interface DownloadTimes {
  readonly stallMs?: number;
}

interface Opened {
  /** Of the whole object, in bytes. */
  readonly size: number;
  readonly etag: string | undefined;
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
}

/**
 * Opens an object or a range of it; `null` when there is no such object. A body that ends early, breaks or stalls is taken up
 * again by a request for the rest of the very same object; one that cannot be completed fails, so that a cut body is never
 * taken for a whole one.
 */
export async function s3Download(
  bucket: S3Bucket,
  key: string,
  range: ByteRange | undefined,
  { stallMs = STALL_MS }: DownloadTimes = {},
): Promise<ObjectBody | null> {
  const opened = await open(bucket, key, range).catch((error: unknown) => {
    if (isMissing(error as S3Fault)) return null;
    throw error;
  });
  if (!opened) return null;
  const { size, etag } = opened;
  const last = range?.last ?? size - 1;
  let { reader } = opened;
  let position = range?.first ?? 0;
  let failures = 0;

  /** The next bytes; `null` at the end. */
  const next = async (): Promise<Uint8Array | null> => {
    while (position <= last) {
      const chunk = await readWithin(reader, stallMs);
      if (chunk && position + chunk.length > last + 1) throw unavailable('the store sent more than it said');
      if (chunk) {
        position += chunk.length;
        failures = 0;
        return chunk;
      }
      reader.cancel().catch(() => undefined);
      if (++failures > RESUMES) throw unavailable('the body was cut again and again');
      ({ reader } = await open(bucket, key, { first: position, last }, etag));
    }
    return null;
  };

  if (last - position < WHOLE_BYTES) {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for (let chunk = await next(); chunk; chunk = await next()) chunks.push(chunk as Uint8Array<ArrayBuffer>);
    return { size, body: new Blob(chunks) };
  }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await next();
        if (chunk) controller.enqueue(chunk);
        else controller.close();
      },
      cancel: () => reader.cancel().catch(() => undefined),
    },
    { highWaterMark: 0 },
  );
  return { size, body };
}

/** Throws the fault of a missing object as it is. */
async function open(bucket: S3Bucket, key: string, range?: ByteRange, etag?: string): Promise<Opened> {
  const command = new GetObjectCommand({
    Bucket: bucket.name,
    Key: bucket.toName(key),
    ...(range ? { Range: `bytes=${range.first}-${range.last}` } : {}),
    ...(etag ? { IfMatch: etag } : {}),
  });
  const { Body, ContentLength, ContentRange, ETag } = await bucket.ask(bucket.client.send(command), isMissing);
  const size = range ? Number(/^bytes \d+-\d+\/(\d+)$/.exec(ContentRange ?? '')?.[1]) : ContentLength;
  if (!Body) throw unavailable('the store sent no body');
  const reader = (Body.transformToWebStream() as ReadableStream<Uint8Array>).getReader();
  if (Number.isSafeInteger(size)) return { size: size as number, etag: ETag, reader };
  reader.cancel().catch(() => undefined);
  throw unavailable('the store did not say what it sends');
}

/** The next bytes; `null` when the body has ended, broke, or is silent for too long. */
async function readWithin(reader: Opened['reader'], ms: number): Promise<Uint8Array | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  try {
    const read = reader.read().catch(() => null);
    const result = await Promise.race([read, silence]);
    return result === null || result.done ? null : result.value;
  } finally {
    clearTimeout(timer);
  }
}

function unavailable(reason: string) {
  return storageProblems.create('unavailable', { cause: new Error(reason), retryAfterSeconds: 5 });
}
