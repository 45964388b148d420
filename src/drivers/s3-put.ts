import { storageProblems } from '../kernel/problems.ts';
import { abortable } from './abortable.ts';
import { type FailedSending, isRefused, type PartSender } from './s3-part-sender.ts';
import type { S3Parts } from './s3-parts.ts';

export interface SentObject {
  readonly size: number;
  readonly sha256: string;
}

export interface S3PutOptions {
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
  /** Awaited before the first request that could leave something behind. */
  readonly ready: Promise<void>;
}

/**
 * Sends a stream as one object: a small one in one request, a larger one in equal parts. Afterwards the store is asked for the
 * size it has. Never rejects.
 */
export async function s3Put(
  key: string,
  body: AsyncIterable<Uint8Array>,
  { maxBytes, signal, ready }: S3PutOptions,
  { sender, parts }: { readonly sender: PartSender; readonly parts: S3Parts },
): Promise<SentObject | FailedSending> {
  const hash = new Bun.CryptoHasher('sha256');
  const never = new AbortController().signal;
  let size = 0;
  let uploadId: string | null = null;
  let isOpen = false;

  const counted = (async function* () {
    for await (const chunk of abortable(body, signal)) {
      size += chunk.length;
      if (size > maxBytes) throw storageProblems.create('too-large');
      hash.update(chunk);
      yield chunk;
    }
  })();
  const sent = await sender.send(counted, {
    firstNumber: 1,
    signal,
    async open() {
      await ready;
      isOpen = true;
      uploadId = await parts.create(key);
      isOpen = false;
      return { key, uploadId };
    },
  });
  try {
    if ('error' in sent) {
      isOpen ||= sent.isOpen;
      throw sent.error;
    }
    const { rest, count } = sent;
    try {
      const bytes = await rest.load(signal ?? never);
      const options = { sha256: rest.sha256, ...(signal ? { signal } : {}) };
      await ready;
      isOpen = true;
      if (uploadId === null) await sender.putWhole(key, bytes, options);
      else {
        const last = await sender.putPart({ key, uploadId }, count + 1, bytes, options);
        const isMade = await parts.complete(key, uploadId, [...sent.parts, last], size);
        if (!isMade) throw storageProblems.create('unavailable');
      }
    } finally {
      rest.release();
    }
    const kept = await parts.sizeOf(key);
    if (kept === size) return { size, sha256: hash.digest('hex') };
    throw storageProblems.create('unavailable', { cause: new Error(`the store kept ${kept} bytes of ${size}`) });
  } catch (error) {
    if (uploadId !== null) {
      await parts.abort(key, uploadId).catch(() => {
        isOpen = true;
      });
    }
    const reason = signal?.aborted ? signal.reason : error;
    return { error: reason, isOpen: isOpen && !isRefused(error) };
  }
}
