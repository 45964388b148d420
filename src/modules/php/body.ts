import { randomUUID } from 'node:crypto';
import { mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../kernel/errors.ts';
import { inTime } from '../../kernel/in-time.ts';
import { requestProblems, serverProblems, storageProblems } from '../../kernel/problems.ts';
import type { PhpBody } from '../../ports/php-pool.ts';
import { createMemoryBudget, createSpoolBudget, type Share } from './body-budgets.ts';

export interface TakenBody {
  /** `null` when the request has none. */
  readonly body: PhpBody | null;
  /** MUST be called when nothing of the body is needed any more. Idempotent. */
  release(): void;
}

export interface BodyOptions {
  /** Largest body, in bytes; 0 for no limit. */
  readonly maxBytes: number;
  /** Where bodies wait that are too large for memory. */
  readonly spoolDir: string;
  /** Bytes that are free where they wait; asked once that place is there. */
  readonly freeBytes: () => Promise<number>;
  /** What all bodies together may take of the memory; what comes beyond it waits on disk, however small it is. */
  readonly memoryBytes?: number;
  /** A client that sends nothing for so long is given up. */
  readonly stallMs?: number;
}

/** Up to this a body waits in memory, while there is room. */
const MEMORY_BYTES = 1024 * 1024;
/** For all bodies: as many of the largest that wait in memory as any pool has children, and more. */
const ALL_MEMORY_BYTES = 64 * MEMORY_BYTES;
/** Up to this a body is read in one go, which costs a fraction of streaming it. */
const SMALL_BYTES = 64 * 1024;
const STALL_MS = 60_000;
/** When to come back while the disk is taken. */
const RETRY_SECONDS = 10;
const CHUNK_BYTES = 256 * 1024;

const NONE: TakenBody = { body: null, release: () => undefined };

/**
 * Takes the whole body of a request before a child is asked for: a slow client never holds one, and php-fpm, which knows no chunks,
 * learns the exact length. What is large goes to a file that has no name any more.
 */
export function createBodyTaker({
  maxBytes,
  spoolDir,
  freeBytes,
  memoryBytes = ALL_MEMORY_BYTES,
  stallMs = STALL_MS,
}: BodyOptions): (request: Request, isSignedIn: boolean) => TakenBody | Promise<TakenBody> {
  const limit = maxBytes === 0 ? Number.POSITIVE_INFINITY : maxBytes;
  const openShare = createSpoolBudget(freeBytes);
  const openMemory = createMemoryBudget(memoryBytes);
  let hasFolder = false;

  async function spool(request: Request, isSignedIn: boolean): Promise<TakenBody> {
    const kept: Uint8Array[] = [];
    const memory = openMemory();
    let size = 0;
    let file: Awaited<ReturnType<typeof openNameless>> | null = null;
    let share: Share | null = null;
    try {
      for await (const chunk of chunksOf(request, stallMs)) {
        size += chunk.length;
        if (size > limit) throw tooLarge();
        if (!file && size <= MEMORY_BYTES && memory.take(chunk.length)) {
          kept.push(chunk);
          continue;
        }
        if (!file || !share) {
          if (!hasFolder) await mkdir(spoolDir, { recursive: true, mode: 0o700 });
          hasFolder = true;
          share = await openShare(isSignedIn);
          file = await openNameless(spoolDir);
          if (!share.take(size - chunk.length)) throw noRoom();
          for (const earlier of kept.splice(0)) await file.write(earlier);
          memory.end();
        }
        if (!share.take(chunk.length)) throw noRoom();
        await file.write(chunk);
      }
    } catch (error) {
      await file?.close();
      share?.end();
      memory.end();
      throw toProblem(error);
    }
    const spooled = file;
    if (!spooled) return inMemory(Buffer.concat(kept), memory);
    let isReleased = false;
    return {
      body: {
        size,
        async *open() {
          for (let at = 0; at < size; ) {
            const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - at));
            const { bytesRead } = await spooled.read(buffer, 0, buffer.length, at);
            if (bytesRead === 0) return;
            at += bytesRead;
            yield buffer.subarray(0, bytesRead);
          }
        },
      },
      release() {
        if (isReleased) return;
        isReleased = true;
        share?.end();
        spooled.close().catch(() => undefined);
      },
    };
  }

  return (request, isSignedIn) => {
    const declared = request.headers.get('content-length');
    if (declared === null && !request.headers.has('transfer-encoding')) return NONE;
    const size = declared === null ? null : Number(declared);
    if (size !== null && size > limit) throw tooLarge();
    const memory = openMemory();
    if (size === 0) return inMemory(new Uint8Array(), memory);
    if (size !== null && size <= SMALL_BYTES && memory.take(size)) return readWhole(request, size, memory, stallMs);
    return spool(request, isSignedIn);
  };
}

function inMemory(bytes: Uint8Array, memory: Share): TakenBody {
  return { body: { size: bytes.length, open: () => bytes }, release: () => memory.end() };
}

async function readWhole(request: Request, size: number, memory: Share, stallMs: number): Promise<TakenBody> {
  try {
    const bytes = new Uint8Array(await inTime(request.arrayBuffer(), stallMs, stalled));
    if (bytes.length !== size) throw requestProblems.create('malformed');
    return inMemory(bytes, memory);
  } catch (error) {
    memory.end();
    throw toProblem(error);
  }
}

/** A file that only its handle leads to: it is gone with the handle, however this process ends. */
async function openNameless(folder: string) {
  const path = join(folder, randomUUID());
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  return file;
}

async function* chunksOf(request: Request, stallMs: number): AsyncGenerator<Uint8Array> {
  const reader = request.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read(), stallMs, stalled);
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** What was not read stays on the connection, which can carry nothing else then. */
const CLOSE = { connection: 'close' };

function stalled(): AppError {
  return requestProblems.create('malformed', { headers: CLOSE });
}

function tooLarge(): AppError {
  return requestProblems.create('too-large', { headers: CLOSE });
}

function noRoom(): AppError {
  return serverProblems.create('busy', { headers: CLOSE, retryAfterSeconds: RETRY_SECONDS });
}

function toProblem(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const isFull = ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException)?.code ?? '');
  // Else the client went away or its chunks are broken: no fault of ours.
  return isFull
    ? storageProblems.create('full', { cause: error })
    : requestProblems.create('malformed', { cause: error });
}
