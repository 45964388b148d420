import { createAllowance } from '../../kernel/allowance.ts';

/** What one body takes of the disk, or of the memory. */
export interface Share {
  /** @returns whether there was so much left. */
  take(bytes: number): boolean;
  /** Gives back all that was taken. Idempotent. */
  end(): void;
}

/** All bodies together leave the rest to the database and the files, which are on the same disk. */
const PART_OF_FREE = 1 / 4;
/** Those who are not signed in never crowd out those who are. */
const PART_OF_STRANGERS = 1 / 2;

/**
 * Disk that all bodies together may take while they wait for their scripts: a quarter of what would be free without them, and half of
 * that for callers who are not signed in.
 *
 * @param freeBytes what is free on the disk now.
 */
export function createSpoolBudget(freeBytes: () => Promise<number>) {
  let used = 0;
  let usedByStrangers = 0;

  /** Begins the share of one body. */
  return async (isSignedIn: boolean): Promise<Share> => {
    const free = await freeBytes();
    const room = (free + used) * PART_OF_FREE;
    let taken = 0;
    return {
      take(bytes) {
        if (used + bytes > room) return false;
        if (!isSignedIn && usedByStrangers + bytes > room * PART_OF_STRANGERS) return false;
        taken += bytes;
        used += bytes;
        if (!isSignedIn) usedByStrangers += bytes;
        return true;
      },
      end() {
        used -= taken;
        if (!isSignedIn) usedByStrangers -= taken;
        taken = 0;
      },
    };
  };
}

/** Memory that all bodies together may take while they come and wait for their scripts. */
export function createMemoryBudget(maxBytes: number) {
  const allowance = createAllowance(maxBytes);

  /** Begins the share of one body. */
  return (): Share => {
    let taken = 0;
    return {
      take(bytes) {
        if (!allowance.take(bytes)) return false;
        taken += bytes;
        return true;
      },
      end() {
        allowance.give(taken);
        taken = 0;
      },
    };
  };
}
