import type { Clock } from '../../ports/clock.ts';
import type { RepositoryObject, RepositoryStore } from '../../ports/repository-store.ts';
import { atOnce } from './at-once.ts';
import { linesOf } from './blob-list.ts';
import { type Manifest, objectsOf, toStamp } from './manifest.ts';
import type { Repository, Snapshots } from './repository.ts';
import { type KeepRule, planForget, type RetentionPlan } from './retention.ts';
import { SHARDS, shardReader } from './shards.ts';
import { writeText } from './small-objects.ts';

export interface PruneOptions {
  readonly repository: Repository;
  readonly store: RepositoryStore;
  readonly clock: Clock;
  readonly keep: KeepRule;
  /** Nothing is changed; the result says what would be. */
  readonly isDryRun?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Told the fraction of the repository that was gone through. */
  readonly onProgress?: (fraction: number) => void;
}

export interface PruneResult extends RetentionPlan {
  /** Objects that nothing has referred to since an earlier run wrote them down: they are removed. */
  readonly swept: Amount;
  /** Objects that nothing refers to, and that a later run may remove. */
  readonly waiting: Amount;
  /** Why nothing was looked for; `null` when it was. */
  readonly heldBack: string | null;
}

export interface Amount {
  readonly objects: number;
  readonly bytes: number;
}

const TRASH = 'trash/';
/** From writing down that nothing refers to an object to its removal. Work that stands still for so long has lost its lease. */
const WAIT_MS = 24 * 3_600_000;
const DELETES = 16;

/**
 * Forgets the snapshots that the rule lets go, and frees what nothing refers to, in two phases: what is found is written down in `trash/`,
 * and removed by a run a day later at the earliest, when there is a newer snapshot and still nothing refers to it.
 * @throws backups/busy while anybody else works on the repository; backups/damaged when a list cannot be read: no object is removed then.
 */
export async function prune(options: PruneOptions): Promise<PruneResult> {
  const { repository, isDryRun = false, keep, clock, signal } = options;
  const lease = await repository.lease(isDryRun ? 'shared' : 'exclusive', 'removing what no backup needs');
  try {
    const snapshots = await repository.snapshots();
    const plan = planForget(snapshots.manifests, await repository.checks(), keep, clock.now());
    await lease.assertHeld();
    if (!isDryRun) for (const manifest of plan.forget) await repository.forget(manifest);
    const heldBack = reasonToHoldBack(snapshots);
    const nothing = { swept: { objects: 0, bytes: 0 }, waiting: { objects: 0, bytes: 0 } };
    const either = AbortSignal.any([lease.signal, ...(signal ? [signal] : [])]);
    const work = { ...options, isDryRun, signal: either, assertHeld: () => lease.assertHeld() };
    const kept = plan.keep.map(({ manifest }) => manifest);
    return { ...plan, ...(heldBack === null ? await sweep(kept, work) : nothing), heldBack };
  } finally {
    await lease.release();
  }
}

/** What a manifest that cannot be read refers to is not known. */
function reasonToHoldBack({ broken }: Snapshots): string | null {
  const [first] = broken;
  if (!first) return null;
  return `${first.key} cannot be read, so nobody knows what that backup needs. Put it back or delete it, then prune again.`;
}

interface Sweep extends PruneOptions {
  readonly isDryRun: boolean;
  readonly signal: AbortSignal;
  assertHeld(): Promise<void>;
}

async function sweep(kept: readonly Manifest[], options: Sweep): Promise<Pick<PruneResult, 'swept' | 'waiting'>> {
  const { repository, store, clock, isDryRun, signal, assertHeld, onProgress } = options;
  const swept = { objects: 0, bytes: 0 };
  const waiting = { objects: 0, bytes: 0 };
  const mark = await findMark(store);
  const isRipe = mark !== null && (await isOldEnough(store, mark));
  const lists = new Map(kept.map((manifest) => [manifest.blobs.list.key, manifest]));
  const blobs = [...lists.values()].map((manifest) => shardReader(repository.list(manifest)));
  const marked = shardReader(isRipe ? markedKeys(store, mark) : nothing());
  const others = new Set(kept.flatMap((manifest) => objectsOf(manifest).map(({ key }) => key)));

  /** Goes through everything; removes what may go, and gives the keys of what has to wait. */
  async function* goThrough(): AsyncGenerator<string> {
    for (const [index, shard] of SHARDS.entries()) {
      signal.throwIfAborted();
      const needed = new Set(others);
      for (const reader of blobs) for (const { key } of await reader.take(shard)) needed.add(key);
      const mayGo = new Set((await marked.take(shard)).map(({ key }) => key));
      const going: RepositoryObject[] = [];
      const staying: RepositoryObject[] = [];
      for await (const object of store.list(shard)) {
        if (needed.has(object.key)) continue;
        // What was stored again since it was written down waits again.
        const isGoing = mark !== null && mayGo.has(object.key) && object.modifiedAt <= mark.modifiedAt;
        (isGoing ? going : staying).push(object);
      }
      if (going.length > 0) await assertHeld();
      if (!isDryRun) await atOnce(going, DELETES, ({ key }) => store.delete(key));
      add(swept, going);
      add(waiting, staying);
      for (const key of staying.map(({ key }) => key).sort()) yield key;
      onProgress?.((index + 1) / SHARDS.length);
    }
  }

  try {
    // While there is a mark that is not ripe, what is not in it waits for the next one.
    if (isDryRun || (mark && !isRipe)) for await (const _ of goThrough());
    else {
      const key = `${TRASH}${toStamp(clock.now())}.txt`;
      await store.put(key, textOf(goThrough()));
      if (waiting.objects === 0) await store.delete(key);
      if (mark && mark.key !== key) await store.delete(mark.key);
    }
  } finally {
    for (const reader of [...blobs, marked]) await reader.end();
  }
  return { swept, waiting };
}

/** The list of what waits. Were there several, the later ones would say the same again. */
async function findMark(store: RepositoryStore): Promise<RepositoryObject | null> {
  const marks = await Array.fromAsync(store.list(TRASH));
  return marks.filter(({ key }) => key.endsWith('.txt')).sort((a, b) => (a.key < b.key ? -1 : 1))[0] ?? null;
}

/** By the clock of the store alone, which all machines share. */
async function isOldEnough(store: RepositoryStore, mark: RepositoryObject): Promise<boolean> {
  const probe = `${TRASH}now`;
  await writeText(store, probe, '');
  const now = (await store.stat(probe))?.modifiedAt ?? 0;
  await store.delete(probe);
  if (now - mark.modifiedAt < WAIT_MS) return false;
  for await (const { modifiedAt } of store.list('snapshots/')) if (modifiedAt > mark.modifiedAt) return true;
  return false;
}

async function* markedKeys(
  store: RepositoryStore,
  { key }: RepositoryObject,
): AsyncGenerator<{ readonly key: string }> {
  const body = await store.get(key);
  if (!body) return;
  // A line that is damaged names nothing that there is.
  for await (const line of linesOf(body)) if (line !== null) yield { key: line };
}

async function* nothing(): AsyncGenerator<never> {}

async function* textOf(keys: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  let text = '';
  for await (const key of keys) {
    text += `${key}\n`;
    if (text.length < 65_536) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text);
}

function add(amount: { objects: number; bytes: number }, objects: readonly RepositoryObject[]): void {
  amount.objects += objects.length;
  for (const { bytes } of objects) amount.bytes += bytes;
}
