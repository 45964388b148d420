import { isUuid } from '../../kernel/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import { type DirectRecord, directRecords } from './direct-records.ts';
import type { Quota } from './quota.ts';
import { fileStore } from './store.ts';

/** Where the objects of uploads in one piece lie until they are copied: nothing below it is ever for long. */
export const WHOLE_PLACE = 'direct/';
/** Where uploads in parts become objects, which the files then name. */
export const PARTS_PLACE = 'direct-parts/';
export const PARTS_TTL_MS = 24 * 3_600_000;
/** A request that began before its URL expired may end so much later. */
export const LATE_MS = 3_600_000;
const SEARCH_EVERY_MS = 3_600_000;
const BATCH = 100;

export interface DirectSweepOptions {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly quota: Quota;
  /** Called after rows have let go of their objects. */
  readonly onDoomed: () => void;
}

export interface DirectSweep {
  /** Ends an upload: its row, its reservation, and all that was sent for it and is no file's. */
  forget(record: DirectRecord): Promise<void>;
  /** Deletes an object that is no longer needed. Never throws: what stays is found later. */
  discard(objectKey: string): Promise<void>;
  /** Forgets uploads whose URLs are dead, and now and then searches the store for what no row names. */
  sweep(signal: AbortSignal): Promise<void>;
}

export function createDirectSweep(options: DirectSweepOptions): DirectSweep {
  const { database, store, clock, log, quota, onDoomed } = options;
  let searchedAt = Number.NEGATIVE_INFINITY;

  const forget = async ({ id, objectKey, partsId }: DirectRecord): Promise<void> => {
    if (partsId !== null) await store.direct?.abortParts(objectKey, partsId);
    await database.write(async (tx) => {
      await quota.release(tx, id);
      await directRecords.remove(tx, [id]);
    });
    onDoomed();
  };

  const discard = (objectKey: string): Promise<void> =>
    store.delete(objectKey).catch((error: unknown) => {
      log.warn({ err: error, objectKey }, 'an object of a direct upload stays until it is swept');
    });

  const forgetExpired = async (signal: AbortSignal): Promise<void> => {
    let after = '';
    while (!signal.aborted) {
      const expired = await directRecords.expired(database.read, clock.now() - LATE_MS, BATCH, after);
      for (const record of expired) {
        await forget(record).catch((error: unknown) => {
          log.warn({ err: error, uploadId: record.id }, 'a direct upload that is over could not be ended yet');
        });
      }
      if (expired.length < BATCH) return;
      after = expired.at(-1)?.id as string;
    }
  };

  const discardUnnamed = async (keys: ReadonlyMap<string, string>): Promise<void> => {
    const known = await directRecords.named(database.read, [...keys.keys()]);
    const missing = [...keys.keys()].filter((id) => !known.has(id));
    // A read may be behind.
    const named = missing.length > 0 ? await database.write((tx) => directRecords.named(tx, missing)) : known;
    for (const id of missing) {
      const objectKey = keys.get(id) as string;
      if (!named.has(id) && !(await fileStore.isNamedOrDoomed(database, objectKey))) await discard(objectKey);
    }
  };

  /**
   * What was put after its row had gone: with the account, or by a request that took longer than anybody waits. It may go at once,
   * since a row is there before its URL is given away.
   */
  const searchOrphans = async (signal: AbortSignal): Promise<void> => {
    let batch = new Map<string, string>();
    for await (const objectKey of store.list(WHOLE_PLACE)) {
      if (signal.aborted) return;
      const id = objectKey.split('/')[1] as string;
      if (!isUuid(id)) continue;
      batch.set(id, objectKey);
      if (batch.size < BATCH) continue;
      await discardUnnamed(batch);
      batch = new Map();
    }
    await discardUnnamed(batch);
  };

  return {
    forget,
    discard,
    async sweep(signal) {
      if (!store.direct) return;
      await forgetExpired(signal);
      if (clock.now() - searchedAt < SEARCH_EVERY_MS) return;
      searchedAt = clock.now();
      await searchOrphans(signal);
      // Rows that went with their account leave uploads in parts behind that only the store knows of.
      await store.direct.sweepParts(PARTS_PLACE, PARTS_TTL_MS + LATE_MS);
    },
  };
}
