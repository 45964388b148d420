import { closeSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { access, constants, mkdir, open, opendir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { randomToken } from '../kernel/ids.ts';
import type { RepositoryStore } from '../ports/repository-store.ts';
import { abortable } from './abortable.ts';
import { toChunks } from './chunks.ts';
import { namesIn, nullIfMissing, readFileInto, readNow, removeFile, statFile } from './disk-files.ts';
import { atDisk, backgroundFlusher, directorySync, isErrno, syncNow, writeAll } from './disk-write.ts';
import { type StartWriteback, writebackStarter } from './disk-writeback.ts';
import { fileSystemFlush } from './file-system-flush.ts';
import { assertKey } from './object-key.ts';

/** Objects that are not complete; no key begins like this. */
const PARTIAL = '.partial';
/** What is left there for so long belongs to nobody any more. */
const LEFTOVER_MS = 24 * 3_600_000;
/** An object up to this size is read at once. */
const SMALL_BYTES = 2 ** 20;

export interface DiskRepositoryStoreOptions {
  /** Directory that belongs to this repository alone; made when missing. */
  readonly root: string;
  readonly startWriteback?: StartWriteback;
}

/** A repository in a directory of any file system: each object is the file of its key. */
export function diskRepositoryStore({
  root,
  startWriteback = writebackStarter(),
}: DiskRepositoryStoreOptions): RepositoryStore {
  const partialDirectory = join(root, PARTIAL);
  const syncDirectory = directorySync();
  const made = new Set<string>();
  const flush = fileSystemFlush(root);
  const pathOf = (key: string): string => {
    assertKey(key);
    return join(root, key);
  };

  /** Makes a directory whose name survives power loss. */
  const make = async (directory: string): Promise<void> => {
    if (made.has(directory)) return;
    const first = await atDisk(mkdir(directory, { recursive: true, mode: 0o700 }));
    for (let path = directory; first !== undefined && path.length >= first.length; path = dirname(path)) {
      await atDisk(syncNow(dirname(path)));
    }
    made.add(directory);
  };

  /** Runs what needs a directory, which somebody may have removed since it was made. */
  const within = async <T>(directory: string, work: () => Promise<T>): Promise<T> => {
    await make(directory);
    try {
      return await work();
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      made.delete(directory);
      await make(directory);
      return work();
    }
  };

  /**
   * A small object without waiting for the disk, which the next flush does for all. The disk begins with it at once, so that the flush is
   * short. It takes no turn of the event loop: with thousands of them those cost more than the writing.
   */
  const putSmall = async (partial: string, path: string, bytes: Uint8Array): Promise<void> => {
    const write = async () => {
      const descriptor = openSync(partial, 'wx', 0o600);
      try {
        writeFileSync(descriptor, bytes);
        startWriteback(descriptor);
      } finally {
        closeSync(descriptor);
      }
    };
    const publish = async () => renameSync(partial, path);
    try {
      await within(partialDirectory, () => atDisk(write()));
      await within(dirname(path), () => atDisk(publish()));
    } catch (error) {
      await removeFile(partial).catch(() => undefined);
      throw error;
    }
  };

  return {
    place: `file:${root}`,

    async put(key, body, { signal, isDeferred = false } = {}) {
      const path = pathOf(key);
      const partial = join(partialDirectory, randomToken(18));
      const isLater = isDeferred && flush !== null;
      if (isLater && body instanceof Uint8Array) {
        signal?.throwIfAborted();
        return putSmall(partial, path, body);
      }
      const source = abortable(toChunks(body), signal)[Symbol.asyncIterator]();
      const beginning = isLater ? await takeSmall(source) : { chunks: [], isWhole: false };
      if (beginning.isWhole) return putSmall(partial, path, Buffer.concat(beginning.chunks));
      try {
        const handle = await within(partialDirectory, () => atDisk(open(partial, 'wx', 0o600)));
        try {
          const flusher = backgroundFlusher(handle);
          let position = 0;
          const write = async (chunk: Uint8Array) => {
            await atDisk(writeAll(handle, [chunk], position));
            position += chunk.length;
            flusher.wrote(chunk.length);
          };
          for (const chunk of beginning.chunks) await write(chunk);
          for (let next = await source.next(); !next.done; next = await source.next()) await write(next.value);
          await flusher.idle();
          if (!isLater) await atDisk(handle.datasync());
        } finally {
          await atDisk(handle.close());
        }
        signal?.throwIfAborted();
        await within(dirname(path), () => atDisk(rename(partial, path)));
        if (!isLater) await syncDirectory(dirname(path));
      } catch (error) {
        await source.return?.();
        await removeFile(partial).catch(() => undefined);
        throw error;
      }
    },

    ...(flush ? { flush } : {}),

    fileOf: pathOf,

    async get(key, range) {
      const path = pathOf(key);
      const found = await statFile(path);
      if (!found?.isFile()) return null;
      const [start, end] = [range?.first ?? 0, (range?.last ?? found.size - 1) + 1];
      if (end - start > SMALL_BYTES) return Bun.file(path).slice(start, end).stream();
      const bytes = await atDisk(nullIfMissing(readFile(path)));
      return bytes && streamOf(range ? bytes.subarray(start, end) : bytes);
    },

    read: async (key, memory) => readFileInto(pathOf(key), memory, readNow),

    async stat(key) {
      const found = await statFile(pathOf(key));
      return found?.isFile() ? { key, bytes: found.size, modifiedAt: found.mtimeMs } : null;
    },

    async *list(prefix) {
      const directories = [prefix.slice(0, prefix.lastIndexOf('/') + 1)];
      for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
        const entries = await atDisk(nullIfMissing(opendir(join(root, directory))));
        if (!entries) continue;
        for await (const entry of entries) {
          const key = `${directory}${entry.name}`;
          if (key === PARTIAL) continue;
          const inside = `${key}/`;
          if (entry.isDirectory() && (inside.startsWith(prefix) || prefix.startsWith(inside))) directories.push(inside);
          if (!entry.isFile() || !key.startsWith(prefix)) continue;
          const found = await statFile(join(root, key));
          if (found) yield { key, bytes: found.size, modifiedAt: found.mtimeMs };
        }
      }
    },

    async delete(key) {
      await removeFile(pathOf(key));
    },

    async check() {
      const probe = join(partialDirectory, `probe-${randomToken(9)}`);
      try {
        await within(partialDirectory, () => atDisk(writeFile(probe, 'probe', { flag: 'wx', mode: 0o600 })));
      } finally {
        await removeFile(probe).catch(() => undefined);
      }
      await atDisk(access(root, constants.R_OK | constants.W_OK));
      for (const name of await namesIn(partialDirectory)) {
        const path = join(partialDirectory, name);
        const found = await statFile(path);
        if (found && Date.now() - found.mtimeMs > LEFTOVER_MS) await removeFile(path);
      }
    },
  };
}

/** Takes chunks until they are too many for a small object. */
async function takeSmall(
  source: AsyncIterator<Uint8Array>,
): Promise<{ readonly chunks: Uint8Array[]; readonly isWhole: boolean }> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (let next = await source.next(); !next.done; next = await source.next()) {
    chunks.push(next.value);
    bytes += next.value.length;
    if (bytes > SMALL_BYTES) return { chunks, isWhole: false };
  }
  return { chunks, isWhole: true };
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}
