import { closeSync, fstatSync, linkSync, openSync, read, readSync, statSync } from 'node:fs';
import { link, mkdir, readdir, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ObjectPaths } from './disk-object-paths.ts';
import { atDisk, isErrno, syncNow, toStorageError } from './disk-write.ts';

/**
 * Gives a complete file the final name of a key, beside the one it has; the name is not durable yet. The shard directory is made
 * when its first object comes, and is durable unless everything is to be flushed later. Throws the file system's error, `EEXIST` when
 * the key is taken.
 */
export async function giveFinalName(paths: ObjectPaths, key: string, path: string, isDeferred = false): Promise<void> {
  try {
    // A turn of the event loop would cost more than the link, which waits for no disk.
    if (isDeferred) linkSync(path, paths.finalPath(key));
    else await link(path, paths.finalPath(key));
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    const shard = paths.shardDirectory(key);
    await mkdir(shard, { recursive: true });
    if (!isDeferred) await syncNow(dirname(shard));
    await link(path, paths.finalPath(key));
  }
}

/** Deletes a file. @returns whether there was one. */
export async function removeFile(path: string): Promise<boolean> {
  return atDisk(
    unlink(path).then(
      () => true,
      (error: unknown) => {
        if (!isErrno(error, 'ENOENT')) throw error;
        return false;
      },
    ),
  );
}

/** Reads a part of a file into memory. @returns how many bytes; 0 at the end. */
type ReadPart = (
  descriptor: number,
  memory: Uint8Array,
  offset: number,
  length: number,
  position: number,
) => number | Promise<number>;

/** By a thread of the runtime, while other work goes on. */
export const readLater: ReadPart = (descriptor, memory, offset, length, position) =>
  new Promise<number>((resolve, reject) => {
    read(descriptor, memory, offset, length, position, (error, bytes) => (error ? reject(error) : resolve(bytes)));
  });

/** For what was just written: it is in memory still, and a turn of the event loop would take longer. */
export const readNow: ReadPart = readSync;

/**
 * Reads a whole file into memory that is used again and again. It is opened without a turn of the event loop, so this is not for a
 * process that serves others. @returns its size, of which the memory got what fits; `null` when there is no such file. Throws the
 * file system's error.
 */
export async function readFileInto(path: string, memory: Uint8Array, readPart: ReadPart): Promise<number | null> {
  const descriptor = openNow(path);
  if (descriptor === null) return null;
  try {
    const { size } = fstatSync(descriptor);
    const wanted = Math.min(size, memory.length);
    for (let length = 0; length < wanted; ) {
      const bytes = await readPart(descriptor, memory, length, wanted - length, length);
      if (bytes === 0) return length;
      length += bytes;
    }
    return size;
  } finally {
    closeSync(descriptor);
  }
}

function openNow(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

export function statFile(path: string) {
  return atDisk(nullIfMissing(stat(path)));
}

/** As {@link statFile} without a turn of the event loop. */
export function statFileNow(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    throw toStorageError(error);
  }
}

/** Names in a directory, none when it is missing. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  return (await atDisk(nullIfMissing(readdir(directory)))) ?? [];
}

/** The result of a file operation, `null` when there is no such file. */
export async function nullIfMissing<T>(operation: Promise<T>): Promise<T | null> {
  try {
    return await operation;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
