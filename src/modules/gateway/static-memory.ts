import { MemoryTier } from '../../kernel/memory-tier.ts';

/** Where one file's bytes may lie in memory, until others need the room. */
export interface Place {
  readonly content: Blob | undefined;
  /** Whether so many bytes are not too many to be held. */
  fits(bytes: number): boolean;
  /** @returns whether they are not too large to be held. */
  hold(content: Blob): boolean;
  release(): void;
}

/** One file may take so much of the whole. */
const LARGEST_SHARE = 1 / 8;
/** What a place costs beside its bytes. */
const PLACE_BYTES = 200;
/** With less than this, what is hot on most sites would be read and compressed again and again. */
const LEAST_BYTES = 16 * 2 ** 20;

/** The memory that everything shares, or some of its own for public files when that was made small. */
export function staticTier(memory: MemoryTier): MemoryTier {
  return memory.maxBytes < LEAST_BYTES ? new MemoryTier(LEAST_BYTES) : memory;
}

/** Places within the bound that everything kept in memory has in common. */
export function createStaticMemory(memory: MemoryTier): () => Place {
  const space = memory.open<Blob>();
  const fits = (bytes: number) => bytes <= memory.maxBytes * LARGEST_SHARE;
  let places = 0;
  return () => {
    const key = String(places++);
    return {
      get content() {
        return space.get(key);
      },
      fits,
      hold: (content) => fits(content.size) && space.set(key, content, content.size + PLACE_BYTES),
      release: () => void space.delete(key),
    };
  };
}
