import { closeSync, fsync, openSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { AppError } from '../kernel/errors.ts';
import { storageProblems } from '../kernel/problems.ts';
import { sharedRun } from '../kernel/shared-run.ts';

/**
 * Bytes in the page cache after which what was written is sent to the disk while more is still arriving. A commit of the database on the
 * same disk waits for so much of it at most: milliseconds.
 */
const FLUSH_EVERY_BYTES = 4 * 2 ** 20;

/** Gives a chunk's memory back now. Left to the garbage collector, megabytes of them would gather first. */
export function free({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
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

/** Makes the content of a file, or the entries of a directory, durable. Opening what was just written waits for no disk. */
export async function syncNow(path: string): Promise<void> {
  const descriptor = openSync(path, 'r');
  try {
    await flush(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

const flush = promisify(fsync);

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

/** As a `storage/*` problem. */
export function toStorageError(error: unknown): AppError {
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
