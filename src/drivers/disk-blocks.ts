import type { FileHandle } from 'node:fs/promises';
import { atDisk, backgroundFlusher, writeAll } from './disk-write.ts';

/** Memory that the event loop fills while the blocks before it are hashed and written by others. */
type Block = Uint8Array<SharedArrayBuffer>;

const BLOCK_BYTES = 512 * 1024;
const MIN_BLOCK_BYTES = 64 * 1024;
/** Of one stream: one is filled, the others are on their way. */
const MAX_BLOCKS = 4;
/** All streams together stay about within this: the more there are, the smaller the blocks of a new one. */
const TOTAL_BYTES = 32 * 2 ** 20;
/** Kept when no stream is left; more than these are left to the garbage collector. */
const KEPT_BLOCKS = 8;

/** One stream on its way to a file, block by block. */
export interface BlockPipe {
  /** Copies a chunk; waits while too much is on its way. */
  add(chunk: Uint8Array): Promise<void>;
  /** Sends what has gathered, however little. */
  ship(): void;
  /** Sends the rest; resolves when all is written, and rejects when something is not. It need not be durable yet. */
  end(): Promise<void>;
}

export interface BlockPipeOptions {
  /**
   * Each block is written after the one before it, so that at any moment the file is a beginning of the stream, whatever dies. A file
   * that counts only when it is whole does not need that.
   */
  readonly isOrdered: boolean;
}

/**
 * Makes pipes that share their memory. Each writes from a position on, flushes large streams along the way, so that the end
 * does not wait for gigabytes, and shows every block to `onBlock`, whose end it waits for as for the disk.
 */
export function blockPipes({ isOrdered }: BlockPipeOptions) {
  /** By their size. */
  let idle = new Map<number, Block[]>();
  let streams = 0;
  const takeBlock = (bytes: number): Block => idle.get(bytes)?.pop() ?? new Uint8Array(new SharedArrayBuffer(bytes));
  const giveBlock = (block: Block): void => {
    const same = idle.get(block.length) ?? [];
    idle.set(block.length, same);
    if (same.length * block.length < TOTAL_BYTES) same.push(block);
  };
  /** Forgets the memory that many streams needed. */
  const trim = (): void => {
    idle = new Map([[BLOCK_BYTES, idle.get(BLOCK_BYTES)?.slice(0, KEPT_BLOCKS) ?? []]]);
  };

  return (
    handle: FileHandle,
    start: number,
    onBlock: (block: Block, isFull: boolean) => Promise<void> | undefined,
  ): BlockPipe => {
    streams++;
    let isOver = false;
    const blockBytes = blockBytesFor(streams);
    let written: Promise<void> = Promise.resolve();
    const flusher = backgroundFlusher(handle);
    /** Blocks on their way, oldest first. */
    const underWay: Promise<void>[] = [];
    let block: Block | null = null;
    let filled = 0;
    let position = start;

    const process = async (full: Block, bytes: number, at: number): Promise<void> => {
      const part = full.subarray(0, bytes);
      const writing = isOrdered ? written.then(() => writeAll(handle, [part], at)) : writeAll(handle, [part], at);
      if (isOrdered) written = writing;
      const results = await Promise.allSettled([onBlock(part, bytes === full.length), atDisk(writing)]);
      giveBlock(full);
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    };
    const ship = (): void => {
      if (!block || filled === 0) return;
      const processed = process(block, filled, position);
      processed.catch(() => undefined);
      underWay.push(processed);
      flusher.wrote(filled);
      position += filled;
      block = null;
      filled = 0;
    };

    return {
      async add(chunk) {
        for (let done = 0; done < chunk.length; ) {
          block ??= takeBlock(blockBytes);
          const part = chunk.subarray(done, done + block.length - filled);
          block.set(part, filled);
          done += part.length;
          filled += part.length;
          if (filled < block.length) continue;
          ship();
          while (underWay.length >= MAX_BLOCKS) await underWay.shift();
        }
      },
      ship,
      async end() {
        ship();
        const results = await Promise.allSettled(underWay);
        if (!isOver) streams--;
        isOver = true;
        if (streams === 0) trim();
        await flusher.idle();
        for (const result of results) if (result.status === 'rejected') throw result.reason;
      },
    };
  };
}

function blockBytesFor(streams: number): number {
  let bytes = BLOCK_BYTES;
  while (bytes > MIN_BLOCK_BYTES && bytes * MAX_BLOCKS * streams > TOTAL_BYTES) bytes /= 2;
  return bytes;
}
