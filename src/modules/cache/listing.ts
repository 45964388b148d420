import type { CacheListing, CachePage, CacheQuery } from '../../ports/cache.ts';
import { decodeFrame, type FrameHead } from './frame.ts';
import { FORMAT, type HeldEntry, isEntryOf, isUsable, type StoreParts, type StoreSpace, toHeld } from './space.ts';

/** Entries that one page looks at; it may hold fewer than asked for and still have a successor. */
const MAX_READS = 2_000;
const READS_AT_ONCE = 32;

/** Entries by key prefix, a page at a time: of the backend while it is there, else of memory. */
export async function listEntries(
  spaces: ReadonlyMap<string, StoreSpace>,
  parts: StoreParts,
  query: CacheQuery,
): Promise<CachePage> {
  const ids = await parts.backend?.list(query.space === undefined ? `${FORMAT}:` : `${FORMAT}:${query.space}:`);
  return ids ? listBackend(ids, parts, query) : listMemory(spaces, parts, query);
}

async function listBackend(ids: readonly string[], parts: StoreParts, query: CacheQuery): Promise<CachePage> {
  const { prefix, limit, cursor = '' } = query;
  const rest = ids.filter((id) => id > cursor).sort();
  const items: CacheListing[] = [];
  let done = 0;
  while (done < rest.length && done < MAX_READS && items.length < limit) {
    const batch = rest.slice(done, done + READS_AT_ONCE);
    const frames = await Promise.all(batch.map((id) => parts.backend?.read(id)));
    for (const read of frames) {
      if (items.length === limit) break;
      done++;
      const found = read?.frame ? decodeFrame(read.frame) : null;
      if (!found?.head.key.startsWith(prefix)) continue;
      const listing = toListing(toHeld(found.head, found.body), parts);
      if (listing) items.push(listing);
    }
  }
  return { items, nextCursor: done < rest.length ? (rest[done - 1] ?? null) : null };
}

function listMemory(spaces: ReadonlyMap<string, StoreSpace>, parts: StoreParts, query: CacheQuery): CachePage {
  const { prefix, limit, cursor = '' } = query;
  const found: { readonly id: string; readonly entry: HeldEntry }[] = [];
  for (const space of spaces.values()) {
    if (query.space !== undefined && space.name !== query.space) continue;
    for (const entry of space.memory.values()) {
      const id = `${space.name}:${entry.key}`;
      if (id > cursor && entry.key.startsWith(prefix)) found.push({ id, entry });
    }
  }
  found.sort((one, two) => (one.id < two.id ? -1 : 1));
  const items: CacheListing[] = [];
  let last: string | null = null;
  for (const { id, entry } of found) {
    if (items.length === limit) return { items, nextCursor: last };
    const listing = toListing(entry, parts);
    if (listing) items.push(listing);
    last = id;
  }
  return { items, nextCursor: null };
}

function toListing(entry: HeldEntry, parts: StoreParts): CacheListing | null {
  if (!isEntryOf(entry as FrameHead, entry.space, entry.key, parts.clock.now()) || !isUsable(entry, parts)) return null;
  const { space, key, tags, createdAt, freshUntil, staleUntil, body } = entry;
  return { space, key, tags, createdAt, freshUntil, staleUntil, bytes: body.byteLength };
}
