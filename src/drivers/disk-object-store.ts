import { access, constants, mkdir, open, opendir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomToken } from '../kernel/ids.ts';
import { storageProblems } from '../kernel/problems.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { abortable } from './abortable.ts';
import { giveFinalName, namesIn, readFileInto, readLater, removeFile, statFile, statFileNow } from './disk-files.ts';
import { type DiskIntake, diskIntake } from './disk-intake.ts';
import { fromName, isShardName, objectPaths, readStagingName, toName } from './disk-object-paths.ts';
import { writeStream } from './disk-stream.ts';
import { atDisk, directorySync, isErrno, syncNow } from './disk-write.ts';
import { fileSystemFlush } from './file-system-flush.ts';
import { gatheredBytes } from './gathered-bytes.ts';
import { assertKey } from './object-key.ts';

/** A Blob opens its file only when it is sent, moments after `get`: until then a delete waits. */
const OPENING_MS = 50;

/** A body of at most so many bytes is written at once. */
const SMALL_BYTES = 64 * 1024;

export interface DiskObjectStoreOptions {
  /** Directory that belongs to this store alone; made when missing. */
  readonly root: string;
  /** Shared by the stores of a process, so that its memory bounds them all. */
  readonly intake?: DiskIntake;
}

/**
 * Objects as files on a local disk.
 *
 * A put writes `.staging/<owner>~<name>`, gives the bytes their final name by a hard link, and makes both durable; nobody
 * knows the key before. The staging entry then stays as the mark of an unsettled object until `settle` removes it, so a
 * crash at any point leaves either nothing, or an entry that {@link ObjectStore.unsettled} finds. Processes on one
 * machine may share a root; machines may not, since life and death of an owner are judged locally.
 */
export function diskObjectStore({ root, intake = diskIntake() }: DiskObjectStoreOptions): ObjectStore {
  const paths = objectPaths(root);
  const syncDirectory = directorySync();
  const flush = fileSystemFlush(root);
  const opening = new Map<string, number>();
  let prepared: Promise<unknown> | null = null;

  const prepare = async (): Promise<void> => {
    prepared ??= mkdir(paths.stagingDirectory, { recursive: true });
    await atDisk(
      prepared.catch((error: unknown) => {
        prepared = null;
        throw error;
      }),
    );
  };

  /** Notes that the object is about to be opened, and forgets those that must be open by now. */
  const noteOpening = (key: string): void => {
    const now = performance.now();
    opening.delete(key);
    opening.set(key, now);
    for (const [other, since] of opening) {
      if (now - since < OPENING_MS) break;
      opening.delete(other);
    }
  };

  const untilOpened = async (key: string): Promise<void> => {
    const waitMs = (opening.get(key) ?? Number.NEGATIVE_INFINITY) + OPENING_MS - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  };

  return {
    async put(key, body, options = {}) {
      const { maxBytes = Number.POSITIVE_INFINITY, signal, isDisposable = false, isDeferred = false } = options;
      assertKey(key);
      await prepare();
      const staged = paths.stagingPath(key);
      const source = limited(abortable(body, signal), maxBytes);
      const isLater = isDeferred && flush !== null;
      let isStaged = false;
      let isPublished = false;
      const publish = async () => {
        await giveFinalName(paths, key, staged, isLater).catch(failUnlessNew);
        isPublished = true;
      };
      try {
        const { head, isWhole } = await takeHead(source);
        if (isWhole) {
          const bytes = head[0];
          await writeFile(staged, bytes, { flag: 'wx' }).catch((error: unknown) => {
            isStaged = !isErrno(error, 'EEXIST');
            return failUnlessNew(error);
          });
          isStaged = true;
          // Before the flush, so that one commit of the file system's journal covers content and name.
          await publish();
          if (!isLater) await atDisk(syncNow(staged));
          if (!isLater) await syncDirectory(paths.shardDirectory(key));
          const sha256 = new Bun.CryptoHasher('sha256').update(bytes).digest('hex');
          return { key, size: bytes.length, sha256 };
        }
        const handle = await open(staged, 'wx').catch(failUnlessNew);
        isStaged = true;
        const written = await writeStream(intake, handle, head, source, isDisposable);
        await publish();
        if (!isLater) await syncDirectory(paths.shardDirectory(key));
        return { key, ...written };
      } catch (error) {
        void source.return(undefined);
        // The final name goes first: while the mark stands, a crash in between is found again.
        if (isPublished) await removeFile(paths.finalPath(key)).catch(() => undefined);
        if (isStaged) await removeFile(staged).catch(() => undefined);
        throw error;
      }
    },

    ...(flush
      ? {
          async flush() {
            await prepare();
            await flush();
          },
          async putFile(key: string, fill: (path: string) => Promise<void>) {
            assertKey(key);
            await prepare();
            const staged = paths.stagingPath(key);
            try {
              await fill(staged);
              await giveFinalName(paths, key, staged, true).catch(failUnlessNew);
            } catch (error) {
              await removeFile(staged).catch(() => undefined);
              throw error;
            }
          },
        }
      : {}),

    sizeNow(key) {
      assertKey(key);
      return statFileNow(paths.finalPath(key))?.size ?? null;
    },

    async settle(key) {
      assertKey(key);
      await removeFile(paths.stagingPath(key));
    },

    async *unsettled() {
      const found: { readonly path: string; readonly key: string; readonly writtenAtMs: number }[] = [];
      for (const name of await namesIn(paths.stagingDirectory)) {
        const { isOwnerAlive, key } = readStagingName(name);
        if (isOwnerAlive) continue;
        const path = join(paths.stagingDirectory, name);
        if (key !== null && (await statFile(paths.finalPath(key)))) {
          found.push({ path, key, writtenAtMs: (await statFile(path))?.mtimeMs ?? 0 });
        } else {
          await removeFile(path);
        }
      }
      found.sort((a, b) => a.writtenAtMs - b.writtenAtMs);
      for (const { path, key } of found) {
        // The mark becomes ours, so that settle and delete find it.
        await atDisk(rename(path, paths.stagingPath(key)));
        yield key;
      }
    },

    async get(key, range) {
      assertKey(key);
      const path = paths.finalPath(key);
      const info = await statFile(path);
      if (!info) return null;
      noteOpening(key);
      return { size: info.size, body: Bun.file(path).slice(range?.first ?? 0, (range?.last ?? info.size - 1) + 1) };
    },

    async read(key, memory) {
      assertKey(key);
      return readFileInto(paths.finalPath(key), memory, readLater);
    },

    async delete(key) {
      assertKey(key);
      await untilOpened(key);
      await removeFile(paths.finalPath(key));
      await removeFile(paths.stagingPath(key));
    },

    async *list(prefix) {
      const namePrefix = toName(prefix);
      for (const shard of await namesIn(root)) {
        if (!isShardName(shard)) continue;
        for await (const entry of await atDisk(opendir(join(root, shard)))) {
          if (entry.name.startsWith(namePrefix)) yield fromName(entry.name);
        }
      }
    },

    async check() {
      await prepare();
      await atDisk(access(root, constants.R_OK | constants.W_OK));
      const probe = paths.stagingPath(`probe-${randomToken(9)}`);
      try {
        await atDisk(writeFile(probe, 'probe', { flag: 'wx' }));
      } finally {
        await removeFile(probe);
      }
    },
  };
}

async function* limited(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) throw storageProblems.create('too-large');
    yield chunk;
  }
}

/** Reads until the body is over or no longer small. */
async function takeHead(source: AsyncGenerator<Uint8Array>) {
  const small = gatheredBytes();
  for (;;) {
    const next = await source.next();
    if (next.done) return { head: [small.bytes()] as const, isWhole: true };
    if (small.size + next.value.length > SMALL_BYTES) {
      return { head: [small.bytes(), next.value] as const, isWhole: false };
    }
    small.add(next.value);
  }
}

/** A key is put once: meeting its file already there is a bug of the caller, not a fault of the disk. */
function failUnlessNew(error: unknown): Promise<never> {
  if (isErrno(error, 'EEXIST'))
    return Promise.reject(new Error('an object of this key exists already', { cause: error }));
  return atDisk(Promise.reject(error));
}
