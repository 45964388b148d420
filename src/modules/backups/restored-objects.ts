import { createHash } from 'node:crypto';
import { createSemaphore } from '../../kernel/semaphore.ts';
import type { FileRow } from '../../ports/database-images.ts';
import type { ObjectBody, ObjectStore } from '../../ports/object-store.ts';
import type { Unpacking } from '../../ports/unpacking.ts';
import { atOnce } from './at-once.ts';
import type { ListLine } from './blob-list.ts';
import { damaged } from './codec.ts';
import type { Manifest } from './manifest.ts';
import { backupProblems } from './problems.ts';
import type { Repository } from './repository.ts';

/** Contents that are looked at or streamed at once. */
const STREAMS = 8;
/** Contents that threads are asked for at once: so many that they need not wait for anything else. */
const UNPACKED = 128;
const LOOKS = 32;

export interface RestoredObjects {
  /** Files whose bytes were there and are right, and those that were put there. */
  readonly kept: number;
  readonly put: number;
  readonly putBytes: number;
  /** Objects that were put and still have to be settled. */
  readonly unsettled: readonly string[];
  /** Files whose bytes cannot be given back, and why. */
  readonly lost: readonly LostFile[];
}

export interface LostFile {
  readonly fileId: string;
  readonly sha256: string;
  /** Lost already when the backup was taken, or the backup itself is damaged. */
  readonly reason: 'before-backup' | 'damaged-backup';
  readonly detail: string;
}

export interface ObjectsOptions {
  readonly repository: Pick<Repository, 'openObject' | 'packedFile' | 'list'>;
  readonly unpacking: Unpacking;
  readonly manifest: Manifest;
  /** In order of their hashes. */
  readonly rows: AsyncIterable<FileRow>;
  readonly objects: Pick<ObjectStore, 'get' | 'put' | 'putFile' | 'list' | 'delete'>;
  readonly signal?: AbortSignal | undefined;
  /** Hears of bytes of files that are done. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Gives every file its bytes: those that are in the store and right are kept, others are put there under the key that the file
 * names. Every file is tried; what cannot be given back is told at the end. What was put is not settled yet, so that it goes again
 * when nothing comes to name it, and durable only after a flush.
 * @throws the signal's reason, `storage/*`, and what the repository throws for other reasons than damage.
 */
export async function restoreObjects(options: ObjectsOptions): Promise<RestoredObjects> {
  const { repository, unpacking, manifest, rows, objects, onBytes = () => undefined } = options;
  const failure = new AbortController();
  const signal = AbortSignal.any([failure.signal, ...(options.signal ? [options.signal] : [])]);
  const streams = createSemaphore(STREAMS, Number.POSITIVE_INFINITY);
  const lostBefore = new Map(manifest.damaged.map((each) => [each.sha256, each.reason]));
  const lost: LostFile[] = [];
  const unsettled: string[] = [];
  /** Nothing is looked for in a store that had nothing. */
  let isEmpty = true;
  let kept = 0;
  let putBytes = 0;

  // Nothing counts before the restore is noted, so one flush for all of them is early enough.
  const putContent = async (objectKey: string, line: ListLine): Promise<void> => {
    const file = repository.packedFile(line);
    if (!file || !objects.putFile) {
      await streams.run(async () => {
        signal.throwIfAborted();
        await objects.put(objectKey, counted(repository.openObject(line), onBytes), { isDeferred: true, signal });
      });
      return;
    }
    await objects.putFile(objectKey, async (path) => {
      const fault = await unpacking.unpack(file, path);
      if (fault !== null) throw damaged(line, fault);
    });
    onBytes(line.bytes);
  };

  const restoreOne = async (row: FileRow, line: ListLine | null): Promise<void> => {
    const { id: fileId, sha256, objectKey } = row;
    if (!line) {
      const reason = lostBefore.get(sha256);
      lost.push(
        reason
          ? { fileId, sha256, reason: 'before-backup', detail: `its content was ${reason} when the backup was taken` }
          : { fileId, sha256, reason: 'damaged-backup', detail: 'the backup does not list its content' },
      );
      return;
    }
    const found = isEmpty ? null : await objects.get(objectKey);
    if (found && (await isContent(found, row))) {
      kept++;
      onBytes(row.size);
      return;
    }
    try {
      if (found) {
        // What is there may be the last copy that is of any use: it goes only for one that is whole.
        for await (const _ of repository.openObject(line)) signal.throwIfAborted();
        await objects.delete(objectKey);
      }
      await putContent(objectKey, line);
      unsettled.push(objectKey);
      putBytes += line.bytes;
    } catch (error) {
      // Something else may be what is damaged.
      signal.throwIfAborted();
      if (!backupProblems.is(error, 'damaged')) throw error;
      lost.push({ fileId, sha256, reason: 'damaged-backup', detail: error.detail });
    }
  };

  for await (const _ of objects.list('')) {
    isEmpty = false;
    break;
  }
  await atOnce(joined(rows, repository.list(manifest)), isEmpty ? UNPACKED : STREAMS, async ({ row, line }) => {
    signal.throwIfAborted();
    await restoreOne(row, line).catch((error: unknown) => {
      // Those that wait for others to end are not begun any more.
      failure.abort(error);
      throw error;
    });
  });
  return { kept, put: unsettled.length, putBytes, unsettled, lost };
}

/**
 * Looks for every file's bytes once more, whoever may have deleted some meanwhile.
 * @returns the ids of files whose bytes are not there.
 */
export async function findMissing(
  rows: AsyncIterable<FileRow>,
  objects: Pick<ObjectStore, 'get' | 'sizeNow'>,
  known: ReadonlySet<string>,
): Promise<string[]> {
  const missing: string[] = [];
  await atOnce(rows, LOOKS, async ({ id, objectKey, size }) => {
    if (known.has(id)) return;
    const found = objects.sizeNow ? objects.sizeNow(objectKey) : await sizeOf(objects, objectKey);
    if (found !== size) missing.push(id);
  });
  return missing;
}

/** Bytes of an object; `null` when there is none. */
export async function sizeOf(objects: Pick<ObjectStore, 'get'>, key: string): Promise<number | null> {
  const found = await objects.get(key);
  if (found?.body instanceof ReadableStream) await found.body.cancel();
  return found?.size ?? null;
}

/** Each file with the blob of its content; both come in order of the hashes. */
export async function* joined<Row extends Pick<FileRow, 'sha256'>>(
  rows: AsyncIterable<Row>,
  lines: AsyncIterable<ListLine>,
): AsyncGenerator<{ readonly row: Row; readonly line: ListLine | null }> {
  const list = lines[Symbol.asyncIterator]();
  let next = await list.next();
  try {
    for await (const row of rows) {
      while (!next.done && next.value.sha256 < row.sha256) next = await list.next();
      yield { row, line: !next.done && next.value.sha256 === row.sha256 ? next.value : null };
    }
  } finally {
    await list.return?.();
  }
}

async function* counted(body: AsyncIterable<Uint8Array>, onBytes: (bytes: number) => void) {
  for await (const chunk of body) {
    yield chunk;
    onBytes(chunk.length);
  }
}

async function isContent({ size, body }: ObjectBody, wanted: Pick<FileRow, 'size' | 'sha256'>): Promise<boolean> {
  const stream = body instanceof Blob ? body.stream() : body;
  if (size !== wanted.size) {
    await stream.cancel();
    return false;
  }
  const hash = createHash('sha256');
  try {
    for await (const chunk of stream) hash.update(chunk);
  } catch (error) {
    if (isUnreadable(error)) return false;
    throw error;
  }
  return hash.digest('hex') === wanted.sha256;
}

/** Bytes that the disk cannot read, or a file that somebody has just deleted: no other try would read it. */
function isUnreadable(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EIO' || error.code === 'ENOENT');
}
