/** Room, in bytes, that all who are at some work may take together; taken before the bytes are there, given back when they are gone. */
export interface Allowance {
  /** @returns whether there was so much left. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

export function createAllowance(maxBytes: number): Allowance {
  let used = 0;
  return {
    take(bytes) {
      if (used + bytes > maxBytes) return false;
      used += bytes;
      return true;
    },
    give(bytes) {
      used -= bytes;
    },
  };
}
