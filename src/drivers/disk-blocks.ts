import type { Block, BlockHolder, BlockMemory } from './block-memory.ts';
import { DIRECT_UNIT, type FileWriter } from './disk-file-writer.ts';

/** Of one stream: one is filled, the others are on their way. */
const MAX_BLOCKS = 8;
/** Given to the disk at once, at most. */
const MAX_WRITE_BLOCKS = 4;

/** One stream on its way to a file, block by block. */
export interface BlockPipe {
  /** Copies a chunk. A promise is to be awaited before the next one: too much is on its way. */
  add(chunk: Uint8Array): Promise<void> | undefined;
  /** Sends what has gathered, however little. */
  ship(): void;
  /** Sends the rest; resolves when all is written, and rejects when something is not. It need not be durable yet. Idempotent. */
  end(): Promise<void>;
}

/** Takes a block's bytes; what it returns is waited for as for the disk. */
export type OnBlock = (part: Block) => Promise<void> | undefined;

/** What is to be written. */
interface Shipped {
  readonly block: Block;
  readonly part: Block;
  readonly at: number;
  readonly shown: Promise<void> | undefined;
}

/**
 * Opens a pipe that writes from a position on and shows every block to `onBlock`. Each is written after the ones before it, so that at
 * any moment the file is a beginning of the stream, whatever dies.
 */
export function openBlockPipe(memory: BlockMemory, writer: FileWriter, start: number, onBlock: OnBlock): BlockPipe {
  let block: Block | null = null;
  let filled = 0;
  /** Others have needed it before. */
  let isAskedFor = false;
  /** Where the block at hand begins in the file. */
  let position = start;
  /** Bytes that fill it: the next one begins where the disk can take it straight from memory. */
  let room = memory.blockBytes - (start % DIRECT_UNIT);
  /** Blocks of ours: the one at hand, and those that are being hashed and written. */
  let taken = 0;
  let waiting: Shipped[] = [];
  let isWriting = false;
  let fault: { readonly error: unknown } | null = null;
  let wake: () => void = () => undefined;
  const nextChange = () => new Promise<void>((resolve) => (wake = resolve));

  const fail = (error: unknown): void => {
    fault ??= { error };
  };
  const release = async ({ block, shown }: Shipped): Promise<void> => {
    await shown;
    taken--;
    memory.give(block);
    wake();
  };
  /** What has gathered during one write goes to the disk with the next. */
  const writeOn = async (): Promise<void> => {
    isWriting = true;
    for (;;) {
      const batch = waiting.slice(0, MAX_WRITE_BLOCKS);
      const [first] = batch;
      if (!first) break;
      waiting = waiting.slice(batch.length);
      const parts = batch.map(({ part }) => part);
      if (!fault) await writer.write(parts, first.at).catch(fail);
      for (const shipped of batch) void release(shipped);
    }
    isWriting = false;
  };
  const ship = (): void => {
    if (!block || filled === 0) return;
    memory.sent(holder);
    const part = block.subarray(0, filled);
    waiting.push({ block, part, at: position, shown: onBlock(part)?.catch(fail) });
    position += filled;
    room = memory.blockBytes - (position % DIRECT_UNIT);
    block = null;
    filled = 0;
    isAskedFor = false;
    if (!isWriting) void writeOn();
  };

  const holder: BlockHolder = {
    yieldSoon() {
      if (isAskedFor) ship();
      else isAskedFor = true;
    },
  };
  const takeBlock = async (): Promise<Block> => {
    while (taken >= MAX_BLOCKS) await nextChange();
    if (fault) throw fault.error;
    taken++;
    const block = await memory.take();
    memory.held(holder);
    return block;
  };
  const addSlowly = async (chunk: Uint8Array): Promise<void> => {
    for (let done = 0; done < chunk.length; ) {
      block ??= await takeBlock();
      const part = chunk.subarray(done, done + room - filled);
      block.set(part, filled);
      done += part.length;
      filled += part.length;
      if (filled === room) ship();
    }
  };

  return {
    add(chunk) {
      if (!block || filled + chunk.length >= room) return addSlowly(chunk);
      block.set(chunk, filled);
      filled += chunk.length;
      return undefined;
    },
    ship,
    async end() {
      ship();
      while (taken > 0) await nextChange();
      if (fault) throw fault.error;
    },
  };
}
