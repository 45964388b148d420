import { AppError } from '../../kernel/errors.ts';
import { createSemaphore } from '../../kernel/semaphore.ts';
import type { FileRow } from '../../ports/database-images.ts';
import type { ObjectBody, ObjectStore } from '../../ports/object-store.ts';
import type { ListLine } from './blob-list.ts';
import type { Manifest } from './manifest.ts';
import { backupProblems } from './problems.ts';
import type { ProgressReporter } from './progress.ts';
import type { Repository } from './repository.ts';
import type { Throttle } from './throttle.ts';

/** A file whose content was lost or wrong already when a backup was taken. */
type DamagedFile = Manifest['damaged'][number];

/** Contents that are copied at the same time. */
const PLACES = 4;
/** Contents that may be decided on before the first of them is in the list. */
const AHEAD = 128;
/** Of several files with the same content, how many are tried and named when it is damaged. */
const MOST_COPIES = 1_000;
/** A content up to this size is read at once. */
const SMALL_BYTES = 2 ** 20;
/** It fits, and what is stored for it, however badly it compresses. */
const MEMORY_BYTES = SMALL_BYTES + 2 ** 16;

export interface ContentOptions {
  readonly repository: Repository;
  readonly objects: ObjectStore;
  readonly throttle: Throttle;
  readonly progress: ProgressReporter;
  readonly signal: AbortSignal;
}

/** Of the place of one content among those that are copied at the same time. */
interface Place extends ContentOptions {
  /** Of its own, for whatever is small: what is used again needs no collecting. */
  readonly memory: Uint8Array;
}

/** What came of the contents; complete when all lines were taken. */
export interface ContentTally {
  /** Contents that this run stored, and their plain bytes. */
  storedBlobs: number;
  storedBytes: number;
  readonly damaged: DamagedFile[];
}

/**
 * Sees to it that the repository has the content of every file, and gives the line of each content, in order of the hashes. A
 * content that the previous snapshot has is not read again; one that an interrupted run left is compared and not copied again.
 * @param rows in order of the hashes.
 * @param previous lines of previous snapshots, in the same order.
 */
export async function* storeContents(
  rows: AsyncIterable<FileRow>,
  previous: readonly AsyncIterable<ListLine>[],
  options: ContentOptions,
  tally: ContentTally,
): AsyncGenerator<ListLine> {
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const places = createSemaphore(PLACES, AHEAD);
  const known = previous.map(seeker);
  const left = leftovers(options.repository);
  const underWay: Promise<ListLine | null>[] = [];

  const memories: Uint8Array[] = [];
  const store = async (copies: readonly FileRow[]): Promise<ListLine | null> => {
    const memory = memories.pop() ?? new Uint8Array(MEMORY_BYTES);
    try {
      return await storeContent(copies, left, { ...options, signal, memory }, tally);
    } catch (error) {
      failed.abort(error);
      throw error;
    } finally {
      memories.push(memory);
    }
  };
  try {
    for await (const { copies, bytes } of contentsOf(rows)) {
      signal.throwIfAborted();
      const { sha256, size } = copies[0] as FileRow;
      const line = await findFirst(known, sha256);
      const storing = line ? Promise.resolve(line) : (places.run(() => store(copies)) as Promise<ListLine | null>);
      storing.catch(() => undefined);
      // What is copied is told as it goes; files of the same content and what is known already are done at once.
      options.progress.add(line ? bytes : bytes - size);
      underWay.push(storing);
      if (underWay.length === AHEAD) {
        const stored = await underWay.shift();
        if (stored) yield stored;
      }
    }
    for (const storing of underWay) {
      const stored = await storing;
      if (stored) yield stored;
    }
  } finally {
    failed.abort(new Error('nobody wants the contents any more'));
    await Promise.allSettled(underWay);
    for (const { end } of known) await end();
  }
}

/** The content of these files, from the first of them that has it; `null` when none has. */
async function storeContent(
  copies: readonly FileRow[],
  left: (sha256: string) => Promise<boolean>,
  options: Place,
  tally: ContentTally,
): Promise<ListLine | null> {
  const { repository, signal, memory } = options;
  const { sha256, size } = copies[0] as FileRow;
  const name = { kind: 'blob', sha256 } as const;
  if (await left(sha256)) {
    const found = await repository.findObject(name);
    if (found) {
      options.progress.add(size);
      return found;
    }
  }
  const damaged: DamagedFile[] = [];
  for (const { id, objectKey } of copies) {
    try {
      const content =
        (size <= SMALL_BYTES && (await readSmall(objectKey, size, options))) || (await open(objectKey, options));
      if (!content) {
        damaged.push({ fileId: id, sha256, reason: 'missing' });
        continue;
      }
      const line = await repository.writeObject(name, content, { signal, memory });
      tally.storedBlobs++;
      tally.storedBytes += line.bytes;
      return line;
    } catch (error) {
      signal.throwIfAborted();
      const reason = damageOf(error);
      if (!reason) throw error;
      damaged.push({ fileId: id, sha256, reason });
    }
  }
  tally.damaged.push(...damaged);
  return null;
}

/** What an error says of the content that was read; `null` when it is about something else. */
function damageOf(error: unknown): DamagedFile['reason'] | null {
  if (backupProblems.is(error, 'wrong-content')) return 'changed';
  if (error instanceof AppError || !(error instanceof Error) || !('code' in error)) return null;
  if (error.code === 'ENOENT') return 'missing';
  // A sector that cannot be read any more.
  return error.code === 'EIO' ? 'changed' : null;
}

/** A content that turns out to be small, when the store has a quicker way for such. */
async function readSmall(key: string, size: number, { objects, throttle, progress, memory }: Place) {
  if (!objects.read) return null;
  await throttle.pass(size);
  const length = await objects.read(key, memory.subarray(0, SMALL_BYTES));
  if (length === null || length > SMALL_BYTES) return null;
  progress.add(length);
  return memory.subarray(0, length);
}

async function open(key: string, options: ContentOptions): Promise<AsyncIterable<Uint8Array> | null> {
  const source = await options.objects.get(key);
  return source && read(source, options);
}

async function* read({ size, body }: ObjectBody, { throttle, progress }: ContentOptions): AsyncGenerator<Uint8Array> {
  if (body instanceof Blob && size <= SMALL_BYTES) {
    await throttle.pass(size);
    yield new Uint8Array(await body.arrayBuffer());
    progress.add(size);
    return;
  }
  for await (const chunk of (body instanceof Blob ? body.stream() : body) as AsyncIterable<Uint8Array>) {
    await throttle.pass(chunk.length);
    yield chunk;
    progress.add(chunk.length);
  }
}

/** Files of the same content together, and what they have in bytes. */
async function* contentsOf(
  rows: AsyncIterable<FileRow>,
): AsyncGenerator<{ readonly copies: readonly FileRow[]; readonly bytes: number }> {
  let copies: FileRow[] = [];
  let bytes = 0;
  for await (const row of rows) {
    if (copies[0] && copies[0].sha256 !== row.sha256) {
      yield { copies, bytes };
      copies = [];
      bytes = 0;
    }
    bytes += row.size;
    if (copies.length < MOST_COPIES) copies.push(row);
  }
  if (copies.length > 0) yield { copies, bytes };
}

async function findFirst(known: readonly ReturnType<typeof seeker>[], sha256: string): Promise<ListLine | null> {
  let found: ListLine | null = null;
  for (const { find } of known) found = (await find(sha256)) ?? found;
  return found;
}

/** Looks hashes up in ordered lines; each must be larger than the one before. */
function seeker(lines: AsyncIterable<ListLine>) {
  const iterator = lines[Symbol.asyncIterator]();
  let current: ListLine | null = null;
  let isOver = false;
  return {
    async find(sha256: string): Promise<ListLine | null> {
      while (!isOver && (current === null || current.sha256 < sha256)) {
        const { value, done } = await iterator.next();
        if (done) isOver = true;
        current = done ? null : value;
      }
      return current?.sha256 === sha256 ? current : null;
    },
    end: async () => void (await iterator.return?.()),
  };
}

/**
 * Whether the repository has something of the name of a content. Asked in order of the hashes, it lists the repository once for each
 * two digits instead of once for each content.
 */
function leftovers(repository: Repository): (sha256: string) => Promise<boolean> {
  const shards = new Map<string, Promise<ReadonlySet<string>>>();
  return async (sha256) => {
    const shard = sha256.slice(0, 2);
    let listing = shards.get(shard);
    if (!listing) {
      listing = repository.storedBlobs(shard);
      listing.catch(() => undefined);
      shards.set(shard, listing);
      // Those before it may still be asked for by contents that are under way.
      for (const old of [...shards.keys()].slice(0, -3)) shards.delete(old);
    }
    return (await listing).has(sha256);
  };
}
