import { createHash } from 'node:crypto';
import type { MemorySpace, MemoryTier } from '../../kernel/memory-tier.ts';
import type { CacheCounts, CacheDraft, CacheEntry, CacheSpace, CacheSpaceStats, Moment } from '../../ports/cache.ts';
import type { Clock } from '../../ports/clock.ts';
import { decodeFrame, encodeFrame, type FrameHead } from './frame.ts';
import type { GuardedBackend } from './guarded-backend.ts';
import type { Invalidations, Target } from './invalidations.ts';
import { MAX_LIFETIME_MS } from './notes-exchange.ts';

/** What all spaces of one store have in common. */
export interface StoreParts {
  readonly clock: Clock;
  readonly tier: MemoryTier;
  readonly invalidations: Invalidations;
  readonly backend: GuardedBackend | null;
  readonly maxEntryBytes: number;
  /** Purges here and on other machines. */
  announce(targets: readonly Target[], isSoft: boolean): void;
  /** Remembers an id that the backend should not have any more and may have. */
  regret(id: string): void;
  /** Hears how long it took to make something. */
  onLoad(space: string, seconds: number): void;
  /** Brings what was announced to the backend. */
  saveNotes(): Promise<void>;
}

/** An entry in memory. */
export interface HeldEntry extends CacheEntry {
  readonly space: string;
  readonly begunAt: Moment;
  freshUntil: number;
  /** State of the invalidations that it was last judged by. */
  version: number;
}

export interface StoreSpace extends CacheSpace {
  readonly memory: MemorySpace<HeldEntry>;
  readonly stats: CacheSpaceStats;
  /** Removes a key where it lies, without a word to others. @returns whether it was there. */
  remove(key: string): Promise<boolean>;
}

/** Part of every id: entries of another format have other ids. */
export const FORMAT = 'v1';
/** What an entry costs beside its bytes. */
const ENTRY_BYTES = 400;
/** One entry may take the `1 / MEMORY_SHARE`th part of memory. */
const MEMORY_SHARE = 4;
/** What claims to be from so far in the future was not written by us. */
const FUTURE_MS = 3_600_000;

/** @param weight see {@link CacheSpaceOptions}. */
export function createSpace(name: string, weight: number, parts: StoreParts): StoreSpace {
  const { clock, tier, invalidations, backend } = parts;
  const memory = tier.open<HeldEntry>((entry) => entry.staleUntil <= clock.now() || !isUsable(entry, parts));
  const reading = new Map<string, Promise<CacheEntry | null>>();
  const counts: CacheCounts = { hits: 0, misses: 0, stale: 0, coalesced: 0 };
  const loading = { loads: 0, loadErrors: 0, loadSeconds: 0 };
  let memoryHits = 0;
  let backendHits = 0;

  const hold = (entry: HeldEntry, headBytes: number): boolean => {
    const bytes = entry.body.byteLength * weight + headBytes * 2 + ENTRY_BYTES;
    if (bytes * MEMORY_SHARE <= tier.maxBytes) return memory.set(entry.key, entry, bytes);
    memory.delete(entry.key);
    return false;
  };

  const readBackend = async (key: string): Promise<CacheEntry | null> => {
    const askedAt = invalidations.tick();
    const frame = (await backend?.read(idOf(name, key)))?.frame;
    const found = frame ? decodeFrame(frame) : null;
    // What was stored meanwhile is newer.
    const meanwhile = memory.get(key);
    if (meanwhile && isUsable(meanwhile, parts)) return meanwhile;
    if (!frame || !found || !isEntryOf(found.head, name, key, clock.now())) return null;
    const entry = toHeld(found.head, found.body);
    if (!invalidations.canJudge(askedAt) || !isUsable(entry, parts)) return null;
    hold(entry, frame.byteLength - found.body.byteLength);
    backendHits++;
    return entry;
  };

  const remove = async (key: string): Promise<boolean> => {
    const held = memory.get(key);
    memory.delete(key);
    const wasHeld = held !== undefined && held.staleUntil > clock.now();
    if (!backend) return wasHeld;
    const id = idOf(name, key);
    const isThere = wasHeld || ((await backend.read(id))?.frame ?? null) !== null;
    if (!(await backend.delete(id))) parts.regret(id);
    return isThere;
  };

  const store = (key: string, draft: CacheDraft, begunAt: Moment, isReplacing: boolean): HeldEntry | null => {
    const { body, meta, tags = [] } = draft;
    const now = clock.now();
    const staleUntil = Math.min(draft.staleUntil, now + MAX_LIFETIME_MS);
    const freshUntil = Math.min(draft.freshUntil, staleUntil);
    if (staleUntil <= now || body.byteLength > parts.maxEntryBytes || !invalidations.canJudge(begunAt)) return null;
    const head: FrameHead = { space: name, key, meta, tags, begunAt, createdAt: now, freshUntil, staleUntil };
    const frame = encodeFrame(head, body);
    const headBytes = frame.byteLength - body.byteLength;
    // The body within the frame: what was given may be a view that keeps something larger.
    const entry = toHeld(head, frame.subarray(headBytes));
    if (!isUsable(entry, parts)) return null;
    const isHeld = hold(entry, headBytes);
    if (!backend) return isHeld ? entry : null;
    const id = idOf(name, key);
    backend.set(id, frame, Math.ceil((staleUntil - now) / 1000)).then((isDone) => {
      // What it replaces must not come back; what was merely made again may.
      if (!isDone && isReplacing) parts.regret(id);
    });
    return isHeld || backend.isUp ? entry : null;
  };

  return {
    name,
    memory,
    counts,
    loaded(seconds, hasFailed) {
      loading.loads++;
      loading.loadSeconds += seconds;
      if (hasFailed) loading.loadErrors++;
      parts.onLoad(name, seconds);
    },
    remove,
    get stats() {
      const { evictions, bytes, size: entries } = memory;
      return { name, entries, bytes, evictions, memoryHits, backendHits, ...counts, ...loading };
    },
    get(key) {
      const held = memory.get(key);
      if (held !== undefined) {
        if (held.staleUntil > clock.now() && isUsable(held, parts)) {
          memoryHits++;
          return held;
        }
        memory.delete(key);
      }
      if (!backend?.isUp) return null;
      const underway = reading.get(key);
      if (underway) return underway;
      const read = readBackend(key).finally(() => reading.delete(key));
      reading.set(key, read);
      return read;
    },
    remember(entry, memo, bytes) {
      if (memory.get(entry.key) !== entry || bytes * MEMORY_SHARE > tier.maxBytes) return;
      entry.memo = memo;
      memory.grow(entry.key, bytes);
    },
    begin: invalidations.tick,
    isCurrent: (key, tags, begunAt) =>
      invalidations.canJudge(begunAt) && invalidations.judge(name, key, tags, begunAt) === 'valid',
    set: (key, draft, begunAt) => store(key, draft, begunAt, false),
    replace(key, draft) {
      parts.announce([{ kind: 'key', space: name, name: key }], false);
      return store(key, draft, invalidations.tick(), true);
    },
    async delete(key) {
      parts.announce([{ kind: 'key', space: name, name: key }], false);
      const [was] = await Promise.all([remove(key), parts.saveNotes()]);
      return was;
    },
  };
}

export function toHeld(head: FrameHead, body: Uint8Array): HeldEntry {
  return { ...head, body, memo: undefined, version: -1 };
}

/** Whether an entry may still be used; a soft purge ends its freshness. */
export function isUsable(entry: HeldEntry, { invalidations }: Pick<StoreParts, 'invalidations'>): boolean {
  if (entry.version === invalidations.version) return true;
  const verdict = invalidations.judge(entry.space, entry.key, entry.tags, entry.begunAt);
  if (verdict === 'hard') return false;
  if (verdict === 'soft') entry.freshUntil = 0;
  entry.version = invalidations.version;
  return true;
}

/** Whether a frame is what was asked for and has time left. */
export function isEntryOf(head: FrameHead, space: string, key: string, now: number): boolean {
  return head.space === space && head.key === key && head.staleUntil > now && head.begunAt < now + FUTURE_MS;
}

/** Hashed, because storages cut, split and limit names in ways of their own; in folders of a bearable size. */
export function idOf(space: string, key: string): string {
  const hash = createHash('sha256').update(key).digest('hex');
  return `${FORMAT}:${space}:${hash.slice(0, 2)}:${hash}`;
}
