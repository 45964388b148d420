/** Something whose bytes are held in memory for a while. */
export interface Holder {
  bytes: Uint8Array<ArrayBuffer> | null;
  /** Used since the memory was last looked through. */
  isMarked: boolean;
}

/** Bytes of hot files, bounded in all. What was used since the last look stays for another turn (second chance). */
export interface StaticMemory {
  readonly size: number;
  /** Puts bytes into a holder; others give theirs up for them. @returns whether they are not too large to be held. */
  hold(holder: Holder, bytes: Uint8Array<ArrayBuffer>): boolean;
  release(holder: Holder): void;
}

/** One file may take so much of the whole. */
const LARGEST_SHARE = 1 / 8;

export function createStaticMemory(maxBytes: number): StaticMemory {
  const holders = new Set<Holder>();
  let size = 0;
  const release = (holder: Holder) => {
    if (!holders.delete(holder)) return;
    size -= holder.bytes?.byteLength ?? 0;
    holder.bytes = null;
  };
  return {
    get size() {
      return size;
    },
    hold(holder, bytes) {
      release(holder);
      if (bytes.byteLength > maxBytes * LARGEST_SHARE) return false;
      while (size + bytes.byteLength > maxBytes) {
        const [oldest] = holders;
        if (!oldest) return false;
        if (!oldest.isMarked) release(oldest);
        else {
          oldest.isMarked = false;
          holders.delete(oldest);
          holders.add(oldest);
        }
      }
      holder.bytes = bytes;
      holder.isMarked = false;
      holders.add(holder);
      size += bytes.byteLength;
      return true;
    },
    release,
  };
}
