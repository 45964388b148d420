import { totalmem } from 'node:os';

const PART = 16;
const MOST = 256 * 1024 * 1024;
const LEAST = 8 * 1024 * 1024;

/** How much memory the cache takes when nobody says: a sixteenth of what this process may have, from 8 to 256 MiB. */
export function fittingCacheBytes(): number {
  // 0 where there is no limit.
  const limit = process.constrainedMemory() || totalmem();
  return Math.round(Math.min(MOST, Math.max(LEAST, Math.min(limit, totalmem()) / PART)));
}
