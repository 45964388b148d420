import { constants, type FileHandle, open } from 'node:fs/promises';
import { atDisk, backgroundFlusher, isErrno, writeAll } from './disk-write.ts';

/** Where in a file a write may begin and end that goes straight from memory to the disk: a page, wherever pages are large. */
export const DIRECT_UNIT = 64 * 1024;
/**
 * What comes behind this of one file goes to the disk without a copy in the page cache. It is flushed before it is acknowledged anyway;
 * on the way through the page cache it would cost several times as much CPU and push out everything else.
 */
const DIRECT_FROM_BYTES = 2 ** 20;

/** Writes a large file from shared memory. Failures are `storage/*` problems. */
export interface FileWriter {
  /** One at a time. Parts follow each other. */
  write(parts: readonly Uint8Array[], position: number): Promise<void>;
  /** Makes what was written durable (fdatasync). */
  sync(): Promise<void>;
  /** Lets go of everything but the handle. Idempotent. */
  close(): Promise<void>;
}

/** @param handle open for writing; it stays the caller's. */
export function fileWriter(handle: FileHandle): FileWriter {
  const flusher = backgroundFlusher(handle);
  /** `null` where the file system cannot do it. */
  let direct: Promise<FileHandle | null> | null = null;

  const closeDirect = async (): Promise<void> => {
    const opened = await direct;
    direct = Promise.resolve(null);
    await opened?.close();
  };
  /** @returns whether it could. */
  const writeDirectly = async (parts: readonly Uint8Array[], position: number): Promise<boolean> => {
    direct ??= openDirectly(handle);
    const opened = await direct;
    if (!opened) return false;
    try {
      await writeAll(opened, parts, position);
      return true;
    } catch (error) {
      if (!isErrno(error, 'EINVAL')) throw error;
      await closeDirect();
      return false;
    }
  };
  const write = async (parts: readonly Uint8Array[], position: number): Promise<void> => {
    const isLate = position >= DIRECT_FROM_BYTES;
    if (isLate && isWhole(position, parts) && (await writeDirectly(parts, position))) return;
    await writeAll(handle, parts, position);
    flusher.wrote(lengthOf(parts));
  };

  return {
    write: (parts, position) => atDisk(write(parts, position)),
    async sync() {
      await flusher.idle();
      await atDisk(handle.datasync());
    },
    async close() {
      await flusher.idle().catch(() => undefined);
      await atDisk(closeDirect());
    },
  };
}

async function openDirectly({ fd }: FileHandle): Promise<FileHandle | null> {
  if (constants.O_DIRECT === undefined) return null;
  return open(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_DIRECT).catch(() => null);
}

/** Every unit of the file belongs to one way of writing, so that page cache and disk never differ. */
function isWhole(position: number, parts: readonly Uint8Array[]): boolean {
  return position % DIRECT_UNIT === 0 && parts.every(({ length }) => length % DIRECT_UNIT === 0);
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
