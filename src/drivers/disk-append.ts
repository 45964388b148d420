import type { FileHandle } from 'node:fs/promises';
import { abortable } from './abortable.ts';
import { atDisk, BATCH_BYTES, BATCH_CHUNKS, backgroundFlusher, writeAll } from './disk-write.ts';

/** Bytes that arrive slowly are written, and so survive the process, after so long. */
const LINGER_MS = 1000;

/**
 * Adds a stream to a file from a position on and makes it durable (fdatasync), with two batches in memory at most. What arrived
 * before the body or the signal ended it early is kept; then it rejects with the body's error or the signal's reason.
 * @param hash takes the bytes in order; it is ahead of the file only when the disk failed.
 */
export async function appendDurably(
  handle: FileHandle,
  position: number,
  body: AsyncIterable<Uint8Array>,
  hash: Bun.CryptoHasher | null,
  signal: AbortSignal | undefined,
): Promise<void> {
  const flusher = backgroundFlusher(handle);
  let end = position;
  let writtenTo = position;
  let batch: Uint8Array[] = [];
  let writing: Promise<void> = Promise.resolve();
  let linger: ReturnType<typeof setTimeout> | undefined;

  /** Hands the batch to the disk, after the one before. */
  const write = (): void => {
    clearTimeout(linger);
    linger = undefined;
    if (batch.length === 0) return;
    const [chunks, from] = [batch, writtenTo];
    flusher.wrote(end - writtenTo);
    writtenTo = end;
    batch = [];
    writing = writing.then(() => atDisk(writeAll(handle, chunks, from)));
    writing.catch(() => undefined);
  };

  let fault: { readonly error: unknown } | null = null;
  try {
    for await (const chunk of abortable(body, signal)) {
      end += chunk.length;
      hash?.update(chunk);
      batch.push(chunk);
      if (end - writtenTo >= BATCH_BYTES || batch.length >= BATCH_CHUNKS) {
        await writing;
        write();
      } else linger ??= setTimeout(write, LINGER_MS);
    }
  } catch (error) {
    fault = { error };
  }
  write();
  try {
    await writing;
  } finally {
    await flusher.idle();
    await atDisk(handle.datasync());
  }
  if (fault) throw fault.error;
}
