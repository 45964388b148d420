import { type FileHandle, open } from 'node:fs/promises';
import { AppError } from '../kernel/errors.ts';
import { storageProblems } from '../kernel/problems.ts';
import { sharedRun } from '../kernel/shared-run.ts';
import { abortable } from './abortable.ts';

/** Bytes after which what was written is sent to the disk while more is still arriving. */
const FLUSH_EVERY_BYTES = 64 * 2 ** 20;
/** A batch is written when it has so many bytes, or chunks (the kernel takes at most 1024 in one write). */
export const BATCH_BYTES = 256 * 1024;
export const BATCH_CHUNKS = 256;

export interface WrittenFile {
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/**
 * Fills a new file from a stream and makes its content durable (fdatasync). Chunks are gathered into batches; one batch
 * is written on another thread while the next is received and hashed on this one, and never more than two are held.
 * Large files are flushed along the way, so that the end does not wait for gigabytes. The handle is closed in any case.
 */
export async function writeDurably(
  handle: FileHandle,
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<WrittenFile> {
  const hash = new Bun.CryptoHasher('sha256');
  const flusher = backgroundFlusher(handle);
  let size = 0;
  let writtenBytes = 0;
  let batch: Uint8Array[] = [];
  let writing: Promise<void> | undefined;

  const writeBatch = async (): Promise<void> => {
    await writing;
    writing = atDisk(writeAll(handle, batch, writtenBytes));
    writing.catch(() => undefined);
    flusher.wrote(size - writtenBytes);
    writtenBytes = size;
    batch = [];
  };

  try {
    for await (const chunk of abortable(body, signal)) {
      size += chunk.length;
      if (size > maxBytes) throw storageProblems.create('too-large');
      hash.update(chunk);
      batch.push(chunk);
      if (size - writtenBytes >= BATCH_BYTES || batch.length >= BATCH_CHUNKS) await writeBatch();
    }
    if (batch.length > 0) await writeBatch();
    await writing;
    await flusher.idle();
    await atDisk(handle.datasync());
  } finally {
    await writing?.catch(() => undefined);
    await flusher.idle().catch(() => undefined);
    await atDisk(handle.close());
  }
  return { size, sha256: hash.digest('hex') };
}

/**
 * Makes the entries of directories durable: a new name survives power loss only after this. Calls for one directory that wait
 * together share a flush; it is meant for a bounded set of directories.
 */
export function directorySync(): (path: string) => Promise<void> {
  const flushes = new Map<string, () => Promise<void>>();
  return (path) => {
    let flush = flushes.get(path);
    if (!flush) {
      flush = sharedRun(() => syncNow(path));
      flushes.set(path, flush);
    }
    return atDisk(flush());
  };
}

/** Makes the entries of a directory durable. */
export async function syncNow(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Awaits a file operation and translates its failure to a `storage/*` problem. */
export async function atDisk<T>(operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    throw toStorageError(error);
  }
}

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  if (error instanceof AppError) return isErrno(error.cause, ...codes);
  return error instanceof Error && codes.includes(String((error as NodeJS.ErrnoException).code));
}

function toStorageError(error: unknown): AppError {
  return storageProblems.create(isErrno(error, 'ENOSPC', 'EDQUOT', 'EFBIG') ? 'full' : 'unavailable', { cause: error });
}

/** Flushes now and then while writing goes on, one flush at a time. */
export function backgroundFlusher(handle: FileHandle) {
  let unflushedBytes = 0;
  let running: Promise<void> | null = null;
  let fault: unknown;
  return {
    wrote(bytes: number): void {
      unflushedBytes += bytes;
      if (unflushedBytes < FLUSH_EVERY_BYTES || running) return;
      unflushedBytes = 0;
      running = handle
        .datasync()
        .catch((error: unknown) => {
          fault ??= error;
        })
        .finally(() => {
          running = null;
        });
    },
    /** Waits for a running flush. A flush that failed may have dropped data for good, so its failure is thrown. */
    async idle(): Promise<void> {
      await running;
      if (fault) throw toStorageError(fault);
    },
  };
}

/** One write may take less than it was given, on a disk that is about to be full for example. */
export async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[], position: number): Promise<void> {
  let { bytesWritten: done } = await handle.writev(chunks, position);
  let start = 0;
  for (const chunk of chunks) {
    while (done < start + chunk.length) {
      const offset = done - start;
      done += (await handle.write(chunk, offset, chunk.length - offset, position + done)).bytesWritten;
    }
    start += chunk.length;
  }
}
