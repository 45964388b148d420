import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { storageProblems } from '../kernel/problems.ts';
import type { ResumableStore } from '../ports/resumable-store.ts';
import { AppendFault, appender } from './disk-append.ts';
import { giveFinalName, namesIn, nullIfMissing, removeFile } from './disk-files.ts';
import { diskIntake } from './disk-intake.ts';
import { fromName, objectPaths, toName } from './disk-object-paths.ts';
import type { DiskObjectStoreOptions } from './disk-object-store.ts';
import { atDisk, directorySync, isErrno } from './disk-write.ts';
import type { ThreadHash } from './hash-thread.ts';
import { assertKey } from './object-key.ts';

/** Ends the name of the mark of an append that must arrive whole; keys never hold the sign. */
const MARK = '@unverified';
/** The hash of an object to which nothing is added for so long is given up; it is read again at the end. */
const CARRY_MS = 600_000;
const READ_BYTES = 512 * 1024;

/** The hash of a whole file, true as long as the file was not changed since. */
interface Carried {
  readonly size: bigint;
  readonly changedAtNs: bigint;
  readonly hash: ThreadHash;
  /** Ends it when nobody comes back for it. */
  readonly expiry: ReturnType<typeof setTimeout>;
}

/**
 * Growing objects as files in `.growing` below the root of a disk object store; the handle is the key. The size of the file is
 * what is durable, except while an append that must arrive whole is under way: a mark beside the file then says how much
 * was there before. Publishing gives the file its final name as a second one; settling takes the first away.
 *
 * The hash is kept in memory while this process alone adds to an object, else the file is read again at the end. Processes of
 * one machine may share a root.
 */
export function diskResumableStore({ root, intake = diskIntake() }: DiskObjectStoreOptions): ResumableStore {
  const paths = objectPaths(root);
  const directory = paths.growingDirectory;
  const syncDirectory = directorySync();
  const { openHash } = intake;
  const appendTo = appender(intake);
  const carried = new Map<string, Carried>();
  const pathOf = (handle: string): string => {
    assertKey(handle);
    return join(directory, toName(handle));
  };
  const markOf = (handle: string): string => `${pathOf(handle)}${MARK}`;

  const statOf = (handle: string) => atDisk(nullIfMissing(stat(pathOf(handle), { bigint: true })));
  const mustStat = async (handle: string) => {
    const info = await statOf(handle);
    if (!info) throw storageProblems.create('gone');
    return info;
  };

  const readMark = async (handle: string): Promise<number | null> => {
    const text = await atDisk(nullIfMissing(readFile(markOf(handle), 'latin1')));
    return text === null ? null : Number(text);
  };
  const setMark = async (handle: string, offset: number): Promise<void> => {
    await atDisk(writeFile(markOf(handle), String(offset), { flush: true }));
    await syncDirectory(directory);
  };
  const removeMark = async (handle: string): Promise<void> => {
    // A mark that came back after a power cut would take away what was acknowledged.
    if (await removeFile(markOf(handle))) await syncDirectory(directory);
  };
  /** Cuts off what an interrupted append left behind its mark. */
  const cutAtMark = async (handle: string): Promise<void> => {
    const mark = await readMark(handle);
    if (mark === null) return;
    await truncateDurably(pathOf(handle), mark);
    await removeMark(handle);
  };

  const dropCarried = (handle: string): void => {
    const known = carried.get(handle);
    if (!known) return;
    carried.delete(handle);
    clearTimeout(known.expiry);
    known.hash.drop();
  };
  /** Remembers the hash of the whole file as it is now. @returns its size. */
  const carry = async (handle: string, hash: ThreadHash | null): Promise<number> => {
    const { size, mtimeNs } = await mustStat(handle);
    if (hash) {
      const expiry = setTimeout(() => dropCarried(handle), CARRY_MS);
      expiry.unref();
      carried.set(handle, { size, changedAtNs: mtimeNs, hash, expiry });
    }
    return Number(size);
  };
  /** Takes the hash of the whole file out of memory; `null` when this process does not know it. */
  const takeCarried = (handle: string, file: { size: bigint; mtimeNs: bigint }): ThreadHash | null => {
    const known = carried.get(handle);
    if (known?.size !== file.size || known.changedAtNs !== file.mtimeNs) {
      dropCarried(handle);
      return null;
    }
    carried.delete(handle);
    clearTimeout(known.expiry);
    return known.hash;
  };

  /** The SHA-256 of a complete file, from memory or by reading it. */
  const hashOf = async (handle: string, file: { size: bigint; mtimeNs: bigint }): Promise<string> => {
    const known = takeCarried(handle, file);
    if (known) {
      try {
        const sha256 = await known.copy().digest();
        await carry(handle, known);
        return sha256;
      } catch {
        // The thread is gone; the bytes are not.
      }
    }
    return hashFile(pathOf(handle), Number(file.size), openHash);
  };

  const publish = async (key: string): Promise<void> => {
    try {
      await giveFinalName(paths, key, pathOf(key));
    } catch (error) {
      // An earlier call may have come so far.
      const [own, other] = await Promise.all([mustStat(key), stat(paths.finalPath(key), { bigint: true })]);
      if (!isErrno(error, 'EEXIST') || own.ino !== other.ino) throw error;
    }
    await syncDirectory(paths.shardDirectory(key));
  };

  return {
    async create(key) {
      const path = pathOf(key);
      const make = () => writeFile(path, '', { flag: 'wx' });
      await atDisk(
        make().catch(async (error: unknown) => {
          if (!isErrno(error, 'ENOENT')) throw error;
          await mkdir(directory, { recursive: true });
          await make();
        }),
      );
      await syncDirectory(directory);
      return key;
    },

    async append(handle, offset, body, { signal, isAtomic = false, isDisposable } = {}) {
      await cutAtMark(handle);
      const before = await mustStat(handle);
      if (BigInt(offset) !== before.size || before.nlink > 1n) throw storageProblems.create('wrong-offset');
      const hash = takeCarried(handle, before);
      const hashBefore = isAtomic ? (hash?.copy() ?? null) : null;
      const file = await atDisk(open(pathOf(handle), 'r+'));
      try {
        if (isAtomic) await setMark(handle, offset);
        const after = await appendTo(file, body, { position: offset, hash, signal, isDisposable });
        if (isAtomic) await removeMark(handle);
        hashBefore?.drop();
        return await carry(handle, after);
      } catch (error) {
        const reached = error instanceof AppendFault ? error.hash : null;
        if (isAtomic) {
          reached?.drop();
          await cutAtMark(handle);
        }
        if (!reached) hash?.drop();
        await carry(handle, isAtomic ? hashBefore : reached);
        throw error instanceof AppendFault ? error.cause : error;
      } finally {
        await atDisk(file.close());
      }
    },

    async size(handle) {
      const info = await statOf(handle);
      if (!info) return null;
      // What another process wrote, perhaps one that was killed, need not be on the disk yet.
      if (carried.get(handle)?.changedAtNs !== info.mtimeNs) await syncFile(pathOf(handle));
      return (await readMark(handle)) ?? Number(info.size);
    },

    async concat(handle, sources, { signal } = {}) {
      const path = pathOf(handle);
      await mustStat(handle);
      await atDisk(truncate(path, 0));
      dropCarried(handle);
      const file = await atDisk(open(path, 'r+'));
      try {
        const body = contentsOf(sources.map(pathOf));
        return await carry(handle, await appendTo(file, body, { position: 0, hash: null, signal }));
      } catch (error) {
        if (error instanceof AppendFault) error.hash?.drop();
        throw error instanceof AppendFault ? error.cause : error;
      } finally {
        await atDisk(file.close());
      }
    },

    async finish(key) {
      await cutAtMark(key);
      const info = await mustStat(key);
      const sha256 = await hashOf(key, info);
      await publish(key);
      return { key, size: Number(info.size), sha256 };
    },

    async settle(handle) {
      dropCarried(handle);
      await removeFile(pathOf(handle));
    },

    async abort(handle) {
      dropCarried(handle);
      const info = await statOf(handle);
      if (info && info.nlink > 1n) await removeFile(paths.finalPath(handle));
      await removeFile(markOf(handle));
      await removeFile(pathOf(handle));
    },

    async *list() {
      for (const name of await namesIn(directory)) {
        if (name.endsWith(MARK)) continue;
        const handle = fromName(name);
        const info = await statOf(handle);
        if (info) yield { handle, key: handle, changedAt: Number(info.mtimeNs / 1_000_000n) };
      }
    },
  };
}

async function truncateDurably(path: string, size: number): Promise<void> {
  await atDisk(truncate(path, size));
  await syncFile(path);
}

async function syncFile(path: string): Promise<void> {
  const file = await atDisk(open(path, 'r+'));
  try {
    await atDisk(file.datasync());
  } finally {
    await atDisk(file.close());
  }
}

async function* contentsOf(paths: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const path of paths) {
    try {
      for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) yield chunk as Buffer;
    } catch (error) {
      throw isErrno(error, 'ENOENT') ? storageProblems.create('gone', { cause: error }) : error;
    }
  }
}

/** Reads a file and hashes it, a large one on another thread. */
async function hashFile(path: string, size: number, openHash: () => ThreadHash): Promise<string> {
  if (size <= READ_BYTES) {
    const hash = new Bun.CryptoHasher('sha256');
    for await (const chunk of contentsOf([path])) hash.update(chunk);
    return hash.digest('hex');
  }
  const hash = openHash();
  const block = new Uint8Array(new SharedArrayBuffer(READ_BYTES));
  try {
    for await (const chunk of contentsOf([path])) {
      block.set(chunk);
      await hash.update(block.subarray(0, chunk.length));
    }
    return await hash.digest();
  } finally {
    hash.drop();
  }
}
