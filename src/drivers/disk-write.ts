import { closeSync, fsync, openSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { AppError } from '../kernel/errors.ts';
import { storageProblems } from '../kernel/problems.ts';
import { sharedRun } from '../kernel/shared-run.ts';
import type { ThreadHash } from './hash-thread.ts';

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

/** Memory that the event loop fills while the blocks before it are hashed and written by others. */
type Block = Uint8Array<SharedArrayBuffer>;

const BLOCK_BYTES = 512 * 1024;
/** Of one stream: one is filled, the others are on their way. */
const MAX_BLOCKS = 4;
/** Kept for the next stream; more than these are left to the garbage collector. */
const KEPT_BLOCKS = 8;

export interface StreamWriter {
  /**
   * Fills a new file from a stream, after the chunks of its head, and makes its content durable (fdatasync). Hashing and
   * writing happen on other threads while more is received, and memory is bounded by {@link MAX_BLOCKS}. Large files are
   * flushed along the way, so that the end does not wait for gigabytes. The handle is closed in any case.
   * @param isDisposable chunks are nobody else's: their memory is freed as soon as they are copied.
   */
  write(
    handle: FileHandle,
    head: readonly Uint8Array[],
    rest: AsyncIterable<Uint8Array>,
    isDisposable: boolean,
  ): Promise<WrittenFile>;
}

export function streamWriter(openHash: () => ThreadHash): StreamWriter {
  const idle: Block[] = [];
  const takeBlock = (): Block => idle.pop() ?? new Uint8Array(new SharedArrayBuffer(BLOCK_BYTES));
  const giveBlock = (block: Block): void => {
    if (idle.length < KEPT_BLOCKS) idle.push(block);
  };

  return {
    async write(handle, head, rest, isDisposable) {
      const hash = openHash();
      const flusher = backgroundFlusher(handle);
      /** Blocks on their way, oldest first. */
      const underWay: Promise<void>[] = [];
      let block = takeBlock();
      let filled = 0;
      let size = 0;

      const process = async (full: Block, bytes: number, position: number): Promise<void> => {
        const part = full.subarray(0, bytes);
        const results = await Promise.allSettled([hash.update(part), atDisk(writeAll(handle, [part], position))]);
        giveBlock(full);
        for (const result of results) if (result.status === 'rejected') throw result.reason;
      };
      const ship = (): void => {
        const processed = process(block, filled, size - filled);
        processed.catch(() => undefined);
        underWay.push(processed);
        flusher.wrote(filled);
      };
      const add = async (chunk: Uint8Array): Promise<void> => {
        for (let done = 0; done < chunk.length; ) {
          const part = chunk.subarray(done, done + block.length - filled);
          block.set(part, filled);
          done += part.length;
          filled += part.length;
          size += part.length;
          if (filled < block.length) continue;
          if (underWay.length >= MAX_BLOCKS - 1) await underWay.shift();
          ship();
          block = takeBlock();
          filled = 0;
        }
      };

      try {
        for (const chunk of head) await add(chunk);
        for await (const chunk of rest) {
          await add(chunk);
          if (isDisposable) free(chunk);
        }
        ship();
        await Promise.all(underWay);
        await flusher.idle();
        const [sha256] = await Promise.all([hash.digest(), atDisk(handle.datasync())]);
        return { size, sha256 };
      } finally {
        await Promise.allSettled(underWay);
        hash.drop();
        await flusher.idle().catch(() => undefined);
        await atDisk(handle.close());
      }
    },
  };
}

/** Gives a chunk's memory back now. Left to the garbage collector, megabytes of them would gather first. */
function free({ buffer, byteLength }: Uint8Array): void {
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
