import type { Clock } from '../../ports/clock.ts';

/** What a purge is aimed at: a tag, one key, keys that begin alike, or everything. `*` is every space, but not for a single key. */
export type Target =
  | { readonly kind: 'tag'; readonly name: string }
  | { readonly kind: 'key' | 'prefix'; readonly space: string; readonly name: string }
  | { readonly kind: 'all'; readonly space: string };

/** A purge as it travels and is kept: target, moment, whether soft. */
export type Invalidation = readonly [id: string, hardAt: number, softAt: number];

export type Verdict = 'valid' | 'soft' | 'hard';

/** Machines whose clocks differ by less purge each other's entries. */
const SKEW_MS = 1_000;
/** The smallest step of the clock: binary fractions of a millisecond are exact in a double for centuries. */
const STEP_MS = 1 / 1024;
const MAX_NOTES = 10_000;
const MAX_PREFIXES = 200;
const MAX_KEYS = 10_000;
/** How long single keys are noted: longer than something that was begun before is being made, or a machine is away. */
const KEYS_MS = 60 * 60_000;

interface Times {
  hardAt: number;
  softAt: number;
}

/**
 * When what was purged, instead of what is to be removed: purging a tag is one note, whatever carries it, on any driver. An entry is
 * valid when the making of it began after the newest note that concerns it.
 *
 * Notes only grow: joining two tables takes the later time of each, so machines may exchange them in any order, twice or late. Past
 * its bound the table forgets its oldest notes and counts everything as purged that is as old as they are. Single keys are also
 * removed where they lie; their notes only fence off what is on its way, and are forgotten sooner.
 */
export interface Invalidations {
  /** The next moment of the store's clock. */
  tick(): number;
  /** Notes a purge that happens now. */
  add(targets: readonly Target[], isSoft: boolean): Invalidation[];
  /** Takes over what another machine noted. @returns those that were news. */
  join(notes: readonly Invalidation[]): Invalidation[];
  judge(space: string, key: string, tags: readonly string[], begunAt: number): Verdict;
  /** Whether what was on its way since then can still be judged. */
  canJudge(begunAt: number): boolean;
  /** Forgets notes from before: no entry is so old any more. */
  prune(beforeMs: number): void;
  /** The newest notes of single keys, at most so many, and all others. */
  notes(maxKeys: number): Invalidation[];
  /** Changes with every note. */
  readonly version: number;
}

export function createInvalidations(clock: Clock): Invalidations {
  /** Tags, prefixes and spaces by id, in the order of their last change. */
  const records = new Map<string, Times>();
  /** The prefixes among them, by space. */
  const prefixes = new Map<string, Map<string, Times>>();
  const keys = new Map<string, Times>();
  /** The time of the newest key that was forgotten. */
  let keysForgottenAt = 0;
  let prefixCount = 0;
  let latest = 0;
  let version = 0;

  /** Whether it was news. */
  const note = (id: string, hardAt: number, softAt: number): boolean => {
    const table = id.startsWith('k') ? keys : records;
    const known = table.get(id);
    if (known && known.hardAt >= hardAt && known.softAt >= softAt) return false;
    const times = known ?? { hardAt: 0, softAt: 0 };
    times.hardAt = Math.max(times.hardAt, hardAt);
    times.softAt = Math.max(times.softAt, softAt);
    table.delete(id);
    table.set(id, times);
    if (!known && id.startsWith('p')) {
      const [space, prefix] = splitId(id);
      const ofSpace = prefixes.get(space) ?? new Map<string, Times>();
      prefixes.set(space, ofSpace.set(prefix, times));
      prefixCount++;
    }
    latest = Math.max(latest, hardAt, softAt);
    version++;
    return true;
  };

  const forget = (id: string): void => {
    records.delete(id);
    if (!id.startsWith('p')) return;
    const [space, prefix] = splitId(id);
    if (prefixes.get(space)?.delete(prefix)) prefixCount--;
  };

  const forgetKey = (id: string, times: Times): void => {
    keysForgottenAt = Math.max(keysForgottenAt, newest(times));
    keys.delete(id);
  };

  /** Folds the oldest notes into one that covers them all. */
  const shrink = (): void => {
    for (const [id, times] of keys) {
      if (keys.size <= MAX_KEYS) break;
      forgetKey(id, times);
    }
    let foldedAt = 0;
    const fold = (id: string, times: Times) => {
      foldedAt = Math.max(foldedAt, newest(times));
      forget(id);
    };
    if (prefixCount > MAX_PREFIXES) {
      for (const [id, times] of records) {
        if (prefixCount <= MAX_PREFIXES) break;
        if (id.startsWith('p')) fold(id, times);
      }
    }
    for (const [id, times] of records) {
      if (records.size <= MAX_NOTES) break;
      if (id !== EVERYTHING) fold(id, times);
    }
    if (foldedAt > 0) note(EVERYTHING, foldedAt, 0);
  };

  return {
    tick() {
      latest = Math.max(clock.now(), latest + STEP_MS);
      return latest;
    },
    get version() {
      return version;
    },
    add(targets, isSoft) {
      const at = Math.max(clock.now() + SKEW_MS, latest + STEP_MS);
      const added = targets.map((target): Invalidation => [idOf(target), isSoft ? 0 : at, isSoft ? at : 0]);
      for (const each of added) note(...each);
      shrink();
      return added;
    },
    join(notes) {
      const keysBefore = clock.now() - KEYS_MS;
      const news = notes.filter(([id, hardAt, softAt]) => {
        const isOld = id.startsWith('k') && Math.max(hardAt, softAt) < keysBefore;
        return !isOld && note(id, hardAt, softAt);
      });
      shrink();
      return news;
    },
    judge(space, key, tags, begunAt) {
      let hardAt = 0;
      let softAt = 0;
      const consider = (times: Times | undefined) => {
        if (!times) return;
        hardAt = Math.max(hardAt, times.hardAt);
        softAt = Math.max(softAt, times.softAt);
      };
      consider(keys.get(`k${space}\n${key}`));
      if (records.size > 0) {
        consider(records.get(EVERYTHING));
        consider(records.get(`a${space}`));
        for (const name of tags) consider(records.get(`t${name}`));
        for (const of of [space, EVERY_SPACE]) {
          for (const [prefix, times] of prefixes.get(of) ?? []) if (key.startsWith(prefix)) consider(times);
        }
      }
      return hardAt >= begunAt ? 'hard' : softAt >= begunAt ? 'soft' : 'valid';
    },
    canJudge: (begunAt) => begunAt > keysForgottenAt,
    prune(beforeMs) {
      for (const [id, times] of records) if (newest(times) < beforeMs) forget(id);
      const keysBefore = clock.now() - KEYS_MS;
      for (const [id, times] of keys) if (newest(times) < keysBefore) forgetKey(id, times);
    },
    notes(maxKeys) {
      const newestKeys = [...keys].sort(([, one], [, two]) => newest(two) - newest(one)).slice(0, maxKeys);
      return [...records, ...newestKeys].map(([id, { hardAt, softAt }]) => [id, hardAt, softAt] as const);
    },
  };
}

/** Stands for every space, but not for a single key. */
export const EVERY_SPACE = '*';
const EVERYTHING = `a${EVERY_SPACE}`;

function idOf(target: Target): string {
  if (target.kind === 'tag') return `t${target.name}`;
  if (target.kind === 'all') return `a${target.space}`;
  return `${target.kind === 'key' ? 'k' : 'p'}${target.space}\n${target.name}`;
}

/** Space and name of a key's or a prefix' id. */
export function splitId(id: string): [space: string, name: string] {
  const end = id.indexOf('\n');
  return [id.slice(1, end), id.slice(end + 1)];
}

function newest({ hardAt, softAt }: Times): number {
  return Math.max(hardAt, softAt);
}

/** Reads notes that came from elsewhere; what is not one is left out. */
export function readInvalidations(value: unknown): Invalidation[] {
  if (!Array.isArray(value)) return [];
  return value.filter(
    (each): each is Invalidation =>
      Array.isArray(each) &&
      each.length === 3 &&
      typeof each[0] === 'string' &&
      /^([ta]|[kp][^\n]*\n)/.test(each[0]) &&
      Number.isFinite(each[1]) &&
      Number.isFinite(each[2]),
  );
}
