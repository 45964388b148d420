import { decodeFrame, encodeFrame } from './frame.ts';
import type { BackendAccess } from './guarded-backend.ts';
import { type Invalidation, type Invalidations, readInvalidations } from './invalidations.ts';

const NOTES_ID = 'meta:notes';
const MAX_KEYS = 1_000;
/** No entry lives longer, so no note has to. */
export const MAX_LIFETIME_MS = 30 * 24 * 3_600_000;

/**
 * Joins this process' notes of purges with those in the backend, both ways. The backend has no compare-and-set, so two machines may
 * overwrite each other; each still has its own notes and writes them again the next time, until both are there.
 *
 * @returns `false` when that could not be done.
 */
export async function exchangeNotes(access: Pick<BackendAccess, 'read' | 'set'>, invalidations: Invalidations) {
  const read = await access.read(NOTES_ID);
  if (!read) return false;
  const kept = read.frame ? readInvalidations(decodeFrame(read.frame)?.head.meta['notes']) : [];
  invalidations.join(kept);
  const notes = invalidations.notes(MAX_KEYS);
  if (!hasNews(notes, kept)) return true;
  const at = { begunAt: 0, createdAt: 0, freshUntil: 0, staleUntil: 0 };
  const frame = encodeFrame({ space: '', key: NOTES_ID, meta: { notes }, tags: [], ...at }, new Uint8Array());
  return access.set(NOTES_ID, frame, MAX_LIFETIME_MS / 1000);
}

function hasNews(notes: readonly Invalidation[], kept: readonly Invalidation[]): boolean {
  const known = new Map(kept.map((each) => [each[0], each]));
  return notes.some(([id, hardAt, softAt]) => {
    const there = known.get(id);
    return !there || there[1] < hardAt || there[2] < softAt;
  });
}
