import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LruMap } from '../kernel/lru.ts';
import { storageProblems } from '../kernel/problems.ts';
import type { ResumableStore } from '../ports/resumable-store.ts';
import { appendDurably } from './disk-append.ts';
import { giveFinalName, namesIn, nullIfMissing, removeFile } from './disk-files.ts';
import { fromName, objectPaths, toName } from './disk-object-paths.ts';
import type { DiskObjectStoreOptions } from './disk-object-store.ts';
import { atDisk, directorySync, isErrno } from './disk-write.ts';
import { assertKey } from './object-key.ts';

/** Ends the name of the mark of an append that must arrive whole; keys never hold the sign. */
const MARK = '@unverified';
/** Growing objects whose hash so far is remembered. */
const CARRIED = 10_000;
const READ_BYTES = 512 * 1024;

/** The hash of a whole file, true as long as the file was not changed since. */
interface Carried {
  readonly size: bigint;
  readonly changedAtNs: bigint;
  readonly hash: Bun.CryptoHasher;
}

/**
 * Growing objects as files in `.growing` below the root of a disk object store; the handle is the key. The size of the file is
 * what is durable, except while an append that must arrive whole is under way: a mark beside the file then says how much
 * was there before. Publishing gives the file its final name as a second one; settling takes the first away.
 *
 * The hash is kept in memory while this process alone adds to an object, else the file is read again at the end. Processes of
 * one machine may share a root.
 */
export function diskResumableStore({ root }: DiskObjectStoreOptions): ResumableStore {
  const paths = objectPaths(root);
  const directory = paths.growingDirectory;
  const syncDirectory = directorySync();
  const carried = new LruMap<string, Carried>(CARRIED);
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

  /** Remembers the hash of the whole file as it is now. @returns its size. */
  const carry = async (handle: string, hash: Bun.CryptoHasher | null): Promise<number> => {
    const { size, mtimeNs } = await mustStat(handle);
    if (hash) carried.set(handle, { size, changedAtNs: mtimeNs, hash });
    return Number(size);
  };
  /** Takes the hash of the whole file out of memory; `null` when this process does not know it. */
  const takeCarried = (handle: string, file: { size: bigint; mtimeNs: bigint }): Bun.CryptoHasher | null => {
    const known = carried.get(handle);
    carried.delete(handle);
    if (file.size === 0n) return new Bun.CryptoHasher('sha256');
    return known?.size === file.size && known.changedAtNs === file.mtimeNs ? known.hash : null;
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

    async append(handle, offset, body, { signal, isAtomic = false } = {}) {
      await cutAtMark(handle);
      const before = await mustStat(handle);
      if (BigInt(offset) !== before.size || before.nlink > 1n) throw storageProblems.create('wrong-offset');
      const hash = takeCarried(handle, before);
      const hashBefore = isAtomic ? (hash?.copy() ?? null) : null;
      const file = await atDisk(open(pathOf(handle), 'r+'));
      try {
        if (isAtomic) await setMark(handle, offset);
        await appendDurably(file, offset, body, hash, signal);
        if (isAtomic) await removeMark(handle);
        return await carry(handle, hash);
      } catch (error) {
        if (isAtomic) {
          await cutAtMark(handle);
          await carry(handle, hashBefore);
        } else if (!isDiskFault(error)) await carry(handle, hash);
        throw error;
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

    async concat(handle, sources) {
      const path = pathOf(handle);
      await mustStat(handle);
      await atDisk(truncate(path, 0));
      const hash = new Bun.CryptoHasher('sha256');
      const file = await atDisk(open(path, 'r+'));
      try {
        await appendDurably(file, 0, contentsOf(sources.map(pathOf)), hash, undefined);
      } finally {
        await atDisk(file.close());
      }
      return carry(handle, hash);
    },

    async finish(key) {
      await cutAtMark(key);
      const info = await mustStat(key);
      const hash = takeCarried(key, info) ?? (await hashOf(pathOf(key)));
      await publish(key);
      await carry(key, hash);
      return { key, size: Number(info.size), sha256: hash.copy().digest('hex') };
    },

    async settle(handle) {
      carried.delete(handle);
      await removeFile(pathOf(handle));
    },

    async abort(handle) {
      carried.delete(handle);
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
        if (info) yield { handle, changedAt: Number(info.mtimeNs / 1_000_000n) };
      }
    },
  };
}

function isDiskFault(error: unknown): boolean {
  return storageProblems.is(error, 'full') || storageProblems.is(error, 'unavailable');
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

async function hashOf(path: string): Promise<Bun.CryptoHasher> {
  const hash = new Bun.CryptoHasher('sha256');
  for await (const chunk of contentsOf([path])) hash.update(chunk);
  return hash;
}
