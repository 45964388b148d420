import type { FileHandle } from 'node:fs/promises';
import { atDisk, backgroundFlusher, writeAll } from './disk-write.ts';

/** Memory that the event loop fills while the blocks before it are hashed and written by others. */
type Block = Uint8Array<SharedArrayBuffer>;

export const BLOCK_BYTES = 512 * 1024;
/** Of one stream: one is filled, the others are on their way. */
const MAX_BLOCKS = 4;
/** Kept for the next stream; more than these are left to the garbage collector. */
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

/**
 * Makes pipes that share their memory. Each writes from a position on, flushes large streams along the way, so that the end
 * does not wait for gigabytes, and shows every block to `onBlock`, whose end it waits for as for the disk.
 */
export function blockPipes() {
  const idle: Block[] = [];
  const takeBlock = (): Block => idle.pop() ?? new Uint8Array(new SharedArrayBuffer(BLOCK_BYTES));
  const giveBlock = (block: Block): void => {
    if (idle.length < KEPT_BLOCKS) idle.push(block);
  };

  return (handle: FileHandle, start: number, onBlock: (block: Block) => Promise<void> | undefined): BlockPipe => {
    const flusher = backgroundFlusher(handle);
    /** Blocks on their way, oldest first. */
    const underWay: Promise<void>[] = [];
    let block: Block | null = null;
    let filled = 0;
    let position = start;

    const process = async (full: Block, bytes: number, at: number): Promise<void> => {
      const part = full.subarray(0, bytes);
      const results = await Promise.allSettled([onBlock(part), atDisk(writeAll(handle, [part], at))]);
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
          block ??= takeBlock();
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
        await flusher.idle();
        for (const result of results) if (result.status === 'rejected') throw result.reason;
      },
    };
  };
}
