/** The beginning of a body, in one buffer: however small its chunks come, they cost no more memory than their bytes. */
export interface GatheredBytes {
  readonly size: number;
  /** Copies the chunk. */
  add(chunk: Uint8Array): void;
  /** What was added so far; it may not be changed. */
  bytes(): Buffer;
}

export function gatheredBytes(): GatheredBytes {
  let buffer = Buffer.alloc(0);
  let size = 0;
  return {
    get size() {
      return size;
    },
    add(chunk) {
      const needed = size + chunk.length;
      if (needed > buffer.length) {
        // Twice as much as before, so that each byte is moved a bounded number of times; a single chunk needs no more than itself.
        const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * buffer.length));
        larger.set(buffer.subarray(0, size));
        buffer = larger;
      }
      buffer.set(chunk, size);
      size = needed;
    },
    bytes: () => buffer.subarray(0, size),
  };
}
