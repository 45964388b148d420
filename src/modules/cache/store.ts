import type { MemoryTier } from '../../kernel/memory-tier.ts';
import { sharedRun } from '../../kernel/shared-run.ts';
import type { CacheBackend, CacheSpace, CacheStore, PurgeOrder } from '../../ports/cache.ts';
import type { Clock } from '../../ports/clock.ts';
import { type BackendAccess, guardBackend } from './guarded-backend.ts';
import {
  createInvalidations,
  EVERY_SPACE,
  type Invalidation,
  readInvalidations,
  splitId,
  type Target,
} from './invalidations.ts';
import { listEntries } from './listing.ts';
import { exchangeNotes, MAX_LIFETIME_MS } from './notes-exchange.ts';
import { createSpace, type StoreParts, type StoreSpace } from './space.ts';
import { sweepBackend } from './sweeper.ts';

export interface CacheStoreOptions {
  readonly clock: Clock;
  /** What lies behind memory; `null` for memory alone. */
  readonly backend: CacheBackend | null;
  /** Where entries lie in memory, within one bound with whatever else is kept there. */
  readonly memory: MemoryTier;
  /** Largest body. Default 16 MiB. */
  readonly maxEntryBytes?: number;
  /** Bound of a backend that expires nothing by itself; kept to at every sweep. Default 1 GiB. */
  readonly backendBytes?: number;
  /** Tells the other machines what was purged. */
  readonly tell?: (notes: readonly Invalidation[]) => void;
  readonly onFault?: (error: unknown) => void;
  /** Hears how long it took to make what is then stored. */
  readonly onLoad?: (space: string, seconds: number) => void;
  /** How long a request waits for the backend, in milliseconds. Default: what the backend says, else 50. */
  readonly readMs?: number;
}

export interface OpenCacheStore extends CacheStore {
  /** Meets the backend, waiting a moment at most, and begins to look after everything. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Obeys what another machine told. */
  obey(notes: unknown): void;
  /** What machines told each other may have been lost: says and asks everything again. */
  doubt(): void;
  /** Looks after expiry, the backend and what machines have to tell each other; runs by itself once started. */
  tick(): Promise<void>;
  /** Goes through a backend that expires nothing by itself; runs by itself once started. */
  sweep(): Promise<number>;
}

const DEFAULT_MAX_ENTRY_BYTES = 16 * 1024 * 1024;
const DEFAULT_BACKEND_BYTES = 1024 * 1024 * 1024;
const DEFAULT_READ_MS = 50;
const TICK_MS = 5_000;
const PROBE_MS = 500;
const SWEEP_MS = 10 * 60_000;
/** Entries of memory that one tick looks at. What is purged is not used from that moment on, whenever it is removed. */
const TICK_STEPS = 5_000;
const MAX_REGRETS = 10_000;
/** How long a start waits for the backend. */
const START_MS = 1_000;
const START_PAUSE_MS = 20;
const REMOVED_AT_ONCE = 64;
/** Purges in one message. */
const MAX_TOLD = 500;
const SPACE_NAME = /^[a-z][a-z0-9-]{0,63}$/;

/** A {@link CacheStore}: bounded memory, and behind it a backend that nobody waits for longer than a moment. */
export function createCacheStore(options: CacheStoreOptions): OpenCacheStore {
  const { clock, onFault = () => undefined, tell = () => undefined } = options;
  const { memory: tier } = options;
  const invalidations = createInvalidations(clock);
  const spaces = new Map<string, StoreSpace>();
  const regrets = new Set<string>();
  let hasForgottenRegrets = false;
  const stopped = new AbortController();
  let timers: ReturnType<typeof setInterval>[] = [];
  let ticking: Promise<void> | null = null;
  let sweeping: Promise<number> | null = null;

  const tellAll = (notes: readonly Invalidation[]) => {
    for (let start = 0; start < notes.length; start += MAX_TOLD) tell(notes.slice(start, start + MAX_TOLD));
  };
  const announce = (targets: readonly Target[], isSoft: boolean) => tellAll(invalidations.add(targets, isSoft));

  /** What the backend missed while it was not there. */
  const makeUp = async (access: BackendAccess): Promise<boolean> => {
    if (hasForgottenRegrets) {
      hasForgottenRegrets = false;
      // More than could be remembered: nothing that is there counts.
      announce([{ kind: 'all', space: EVERY_SPACE }], false);
    }
    if (!(await exchangeNotes(access, invalidations))) return false;
    for (const id of regrets) {
      if (!(await access.delete(id))) return false;
      regrets.delete(id);
    }
    return true;
  };
  const backend =
    options.backend &&
    guardBackend({
      backend: options.backend,
      clock,
      onFault,
      onReturn: makeUp,
      readMs: options.readMs ?? options.backend.patienceMs ?? DEFAULT_READ_MS,
    });

  const parts: StoreParts = {
    clock,
    tier,
    invalidations,
    backend,
    maxEntryBytes: options.maxEntryBytes ?? DEFAULT_MAX_ENTRY_BYTES,
    announce,
    onLoad: options.onLoad ?? (() => undefined),
    regret(id) {
      if (regrets.size < MAX_REGRETS) regrets.add(id);
      else hasForgottenRegrets = true;
    },
    saveNotes: sharedRun(async () => {
      if (backend?.isUp) await exchangeNotes(backend, invalidations);
    }),
  };

  /** @returns how many there were. */
  const removeKeys = async (names: readonly string[], keys: readonly string[]): Promise<number> => {
    let removed = 0;
    for (const name of names) {
      const space = spaces.get(name);
      for (let start = 0; space && start < keys.length; start += REMOVED_AT_ONCE) {
        const batch = keys.slice(start, start + REMOVED_AT_ONCE);
        const were = await Promise.all(batch.map((key) => space.remove(key)));
        removed += were.filter(Boolean).length;
      }
    }
    return removed;
  };
  const round = async () => {
    tier.sweep(TICK_STEPS);
    invalidations.prune(clock.now() - MAX_LIFETIME_MS);
    if (backend?.isUp) await makeUp(backend);
    else await backend?.probe();
  };
  const tick = () => {
    ticking ??= round().finally(() => {
      ticking = null;
    });
    return ticking;
  };
  const sweepOnce = async () => {
    if (!options.backend || options.backend.expires || !backend?.isUp) return 0;
    try {
      return await sweepBackend(options.backend, parts, options.backendBytes ?? DEFAULT_BACKEND_BYTES, stopped.signal);
    } catch (error) {
      onFault(error);
      return 0;
    }
  };
  const sweep = () => {
    sweeping ??= sweepOnce().finally(() => {
      sweeping = null;
    });
    return sweeping;
  };
  const settled = async () => {
    await backend?.settled();
  };

  return {
    tick,
    sweep,
    settled,
    space: ((name: string, { weight = 1 } = {}) => {
      if (!SPACE_NAME.test(name)) throw new TypeError('the name of a cache space is not usable');
      const space = spaces.get(name) ?? createSpace(name, weight, parts);
      spaces.set(name, space);
      return space as CacheSpace;
    }) as CacheStore['space'],
    async purge(order) {
      const names = order.spaces ?? [...spaces.keys()];
      const targets = toTargets(order, names);
      if (targets.length === 0) return 0;
      announce(targets, order.soft ?? false);
      const saving = parts.saveNotes();
      if (order.soft) return saving.then(() => null);
      if (order.all) for (const name of names) spaces.get(name)?.memory.clear();
      const [removed] = await Promise.all([removeKeys(names, order.keys ?? []), saving]);
      return targets.every(({ kind }) => kind === 'key') ? removed : null;
    },
    list: (query) => listEntries(spaces, parts, query),
    stats: () => ({
      driver: options.backend?.name ?? 'memory',
      backend: backend ? (backend.isUp ? 'up' : 'down') : 'none',
      memory: { entries: tier.entries, bytes: tier.bytes, maxBytes: tier.maxBytes },
      spaces: [...spaces.values()].map(({ stats }) => stats),
    }),
    obey(value) {
      // What this process told comes back to it.
      for (const [id, hardAt] of invalidations.join(readInvalidations(value))) {
        if (!id.startsWith('k') || hardAt === 0) continue;
        const [space, key] = splitId(id);
        spaces.get(space)?.memory.delete(key);
      }
    },
    doubt() {
      tellAll(invalidations.notes(MAX_TOLD));
      tick().catch(onFault);
    },
    async start() {
      const latest = performance.now() + START_MS;
      while (backend && !backend.isUp && performance.now() < latest) {
        await Promise.race([backend.probe(true), pause(START_MS)]);
        if (!backend.isUp) await pause(START_PAUSE_MS);
      }
      timers = [
        setInterval(() => tick().catch(onFault), TICK_MS),
        setInterval(() => backend?.probe(), PROBE_MS),
        setInterval(() => void sweep(), SWEEP_MS),
      ];
      for (const timer of timers) timer.unref();
    },
    async stop() {
      stopped.abort();
      for (const timer of timers) clearInterval(timer);
      await ticking;
      await settled();
      await options.backend?.close();
    },
  };
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function toTargets({ keys = [], tags = [], prefix, all, spaces }: PurgeOrder, names: readonly string[]): Target[] {
  const scopes = spaces ?? [EVERY_SPACE];
  return [
    ...names.flatMap((space) => keys.map((name): Target => ({ kind: 'key', space, name }))),
    ...tags.map((name): Target => ({ kind: 'tag', name })),
    ...(prefix === undefined ? [] : scopes.map((space): Target => ({ kind: 'prefix', space, name: prefix }))),
    ...(all ? scopes.map((space): Target => ({ kind: 'all', space })) : []),
  ];
}
