import type { MemoryTier } from '../../kernel/memory-tier.ts';

/** Where one file's bytes may lie in memory, until others need the room. */
export interface Place {
  readonly content: Blob | undefined;
  /** @returns whether they are not too large to be held. */
  hold(content: Blob): boolean;
  release(): void;
}

/** One file may take so much of the whole. */
const LARGEST_SHARE = 1 / 8;
/** What a place costs beside its bytes. */
const PLACE_BYTES = 200;

/** Places within the bound that everything kept in memory has in common. */
export function createStaticMemory(memory: MemoryTier): () => Place {
  const space = memory.open<Blob>();
  let places = 0;
  return () => {
    const key = String(places++);
    return {
      get content() {
        return space.get(key);
      },
      hold: (content) =>
        content.size <= memory.maxBytes * LARGEST_SHARE && space.set(key, content, content.size + PLACE_BYTES),
      release: () => void space.delete(key),
    };
  };
}
