import type { FileHandle } from 'node:fs/promises';
import { blockMemory } from './block-memory.ts';
import { type BlockPipe, type OnBlock, openBlockPipe } from './disk-blocks.ts';
import { type FileWriter, fileWriter } from './disk-file-writer.ts';
import { hashThread, type ThreadHash } from './hash-thread.ts';

const BLOCK_BYTES = 2 ** 20;
/** All streams of a process together hold no more memory than this. */
const BLOCKS = 32;

/** A stream on its way to a file. */
export interface Inflow {
  readonly pipe: BlockPipe;
  readonly writer: FileWriter;
}

/** What all files of a process are written with: memory for blocks, and a thread that hashes them. */
export interface DiskIntake {
  openHash(): ThreadHash;
  /** From a position on of a file that is open for writing; the handle stays the caller's. */
  openInflow(handle: FileHandle, position: number, onBlock: OnBlock): Inflow;
}

export function diskIntake(): DiskIntake {
  const memory = blockMemory(BLOCK_BYTES, BLOCKS);
  return {
    openHash: hashThread(),
    openInflow(handle, position, onBlock) {
      const writer = fileWriter(handle);
      return { writer, pipe: openBlockPipe(memory, writer, position, onBlock) };
    },
  };
}
