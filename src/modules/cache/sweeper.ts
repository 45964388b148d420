import type { CacheBackend } from '../../ports/cache.ts';
import { decodeFrame } from './frame.ts';
import { FORMAT, isEntryOf, type StoreParts } from './space.ts';

const AT_ONCE = 16;
/** Between two batches, so that a sweep is never more than a small part of what the storage does. */
const PAUSE_MS = 20;

/**
 * Removes from a backend that expires nothing by itself what is over, purged or not readable, and when the rest is larger than
 * `maxBytes`, the oldest of it. @returns how many were removed.
 */
export async function sweepBackend(
  backend: CacheBackend,
  parts: StoreParts,
  maxBytes: number,
  signal: AbortSignal,
): Promise<number> {
  const kept: { readonly id: string; readonly bytes: number; readonly createdAt: number }[] = [];
  let removed = 0;
  const remove = async (id: string) => {
    await backend.delete(id);
    removed++;
  };
  const look = async (id: string) => {
    const frame = await backend.get(id);
    if (!frame) return;
    const found = decodeFrame(frame);
    const isKept =
      found &&
      isEntryOf(found.head, found.head.space, found.head.key, parts.clock.now()) &&
      parts.invalidations.judge(found.head.space, found.head.key, found.head.tags, found.head.begunAt) !== 'hard';
    if (isKept) kept.push({ id, bytes: frame.byteLength, createdAt: found.head.createdAt });
    else await remove(id);
  };

  await inBatches(await backend.list(`${FORMAT}:`), look, signal);
  let bytes = kept.reduce((sum, each) => sum + each.bytes, 0);
  const excess = kept
    .sort((one, two) => one.createdAt - two.createdAt)
    .filter((each) => {
      const isTooMuch = bytes > maxBytes;
      if (isTooMuch) bytes -= each.bytes;
      return isTooMuch;
    });
  await inBatches(
    excess.map(({ id }) => id),
    remove,
    signal,
  );
  return removed;
}

async function inBatches(
  ids: readonly string[],
  work: (id: string) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (let start = 0; start < ids.length && !signal.aborted; start += AT_ONCE) {
    await Promise.all(ids.slice(start, start + AT_ONCE).map(work));
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
