import type { Clock } from '../../ports/clock.ts';
import type { Database } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import type { GrowingObject, ResumableStore } from '../../ports/resumable-store.ts';
import type { Quota } from './quota.ts';
import { fileStore } from './store.ts';
import { type UploadRecord, uploadRecords } from './tus-records.ts';

export interface UploadSweepOptions {
  readonly database: Database;
  readonly resumable: ResumableStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly quota: Quota;
}

const BATCH = 100;
/** A growing object that no record names is left alone for so long: its record may be about to come. */
const ORPHAN_MS = 3_600_000;
/** How often the store is searched for such objects. */
const SEARCH_EVERY_MS = 1_800_000;

/**
 * Deletes uploads that have expired, and growing objects that no record names: of accounts that were deleted, of crashes in
 * between. Each machine does it, since each may have a disk of its own; what two do at once does no harm.
 *
 * @returns the sweep; it stops early, between batches, when the signal says so.
 */
export function createUploadSweep({ database, resumable, clock, log, quota }: UploadSweepOptions) {
  let searchedAt = Number.NEGATIVE_INFINITY;

  const end = async (handle: string, isFile: boolean): Promise<void> => {
    try {
      await (isFile ? resumable.settle(handle) : resumable.abort(handle));
    } catch (error) {
      log.warn({ err: error, handle }, 'the bytes of an upload that is over stay until the next search');
    }
  };

  const sweepExpired = async (signal: AbortSignal): Promise<void> => {
    // A write, even of nothing, would make every process read again what it remembers.
    while (!signal.aborted && (await uploadRecords.hasExpired(database.read, clock.now()))) {
      const removed = await database.write(async (tx) => {
        const expired = await uploadRecords.removeExpired(tx, clock.now(), BATCH);
        for (const { id } of expired) await quota.release(tx, id);
        return expired;
      });
      await Promise.all(removed.map(({ handle, fileId }) => end(handle, fileId !== null)));
      if (removed.length < BATCH) return;
    }
  };

  const endUnnamed = async (objects: readonly GrowingObject[]): Promise<void> => {
    const handles = objects.map(({ handle }) => handle);
    const read = recordsOf(await uploadRecords.named(database.read, handles));
    const missing = handles.filter((handle) => !read.has(handle));
    // What a read does not find may be there: it may be behind, or a commit whose answer was lost may land yet.
    const now = missing.length > 0 ? await database.write((tx) => uploadRecords.named(tx, missing)) : [];
    const records = new Map([...read, ...recordsOf(now)]);
    for (const { handle, key } of objects) {
      const record = records.get(handle);
      if (record && record.fileId === null) continue;
      // The record of a file's upload may be gone before its handle was settled.
      await end(handle, record !== undefined || (await fileStore.isNamedOrDoomed(database, key)));
    }
  };

  const searchOrphans = async (signal: AbortSignal): Promise<void> => {
    let batch: GrowingObject[] = [];
    for await (const object of resumable.list()) {
      if (signal.aborted) return;
      if (object.changedAt > clock.now() - ORPHAN_MS) continue;
      batch.push(object);
      if (batch.length < BATCH) continue;
      await endUnnamed(batch);
      batch = [];
    }
    await endUnnamed(batch);
  };

  return async (signal: AbortSignal): Promise<void> => {
    await sweepExpired(signal);
    if (clock.now() - searchedAt < SEARCH_EVERY_MS) return;
    searchedAt = clock.now();
    await searchOrphans(signal);
  };
}

function recordsOf(records: readonly UploadRecord[]): Map<string, UploadRecord> {
  return new Map(records.map((record) => [record.handle, record]));
}
