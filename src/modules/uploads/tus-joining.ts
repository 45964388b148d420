import type { Clock } from '../../ports/clock.ts';
import type { Database } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ResumableStore } from '../../ports/resumable-store.ts';
import { forAccount } from './allowance.ts';
import { assertFits, type UploadLimits } from './intake.ts';
import { uploadProblems } from './problems.ts';
import type { Quota } from './quota.ts';
import { isRefusal } from './refusal.ts';
import type { createBeginning } from './tus-beginning.ts';
import type { UploadLocks, WriteLock } from './tus-locks.ts';
import { type UploadRecord, uploadRecords } from './tus-records.ts';

export interface JoiningOptions {
  readonly database: Database;
  readonly resumable: ResumableStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly quota: Quota;
  readonly limits: UploadLimits;
  readonly locks: UploadLocks;
  readonly reservationTtlMs: number;
  readonly start: ReturnType<typeof createBeginning>;
  readonly complete: (record: UploadRecord, lock: WriteLock) => Promise<string>;
}

/**
 * Concatenation: partial uploads become one file, in the order of the list. The list is used up by that: the partial uploads keep
 * their answers until they expire, but not their bytes. So the same request again, after its answer was lost or the server
 * died in the middle, ends with the same file.
 *
 * @param draft a new record for the final upload, without what follows from its parts.
 */
export function createJoining(options: JoiningOptions) {
  const { database, resumable, clock, log, quota, limits, locks, reservationTtlMs, start, complete } = options;

  const partsOf = async (ownerId: string, ids: readonly string[]): Promise<readonly UploadRecord[]> => {
    const found = new Map((await uploadRecords.findAll(database.read, ids)).map((record) => [record.id, record]));
    return ids.map((id) => {
      const part = found.get(id);
      const isUsable = part && part.ownerId === ownerId && part.concatenation === 'partial';
      if (!isUsable || part.expiresAt <= clock.now()) throw uploadProblems.create('unfinished-part');
      return part;
    });
  };

  /** An earlier request for the same list. */
  const findEarlier = async (parts: readonly UploadRecord[], concatenation: string): Promise<UploadRecord | null> => {
    const finalId = parts[0]?.finalId ?? null;
    if (finalId === null || parts.some((part) => part.finalId !== finalId)) return null;
    const earlier = await uploadRecords.find(database.read, finalId);
    return earlier?.concatenation === concatenation ? earlier : null;
  };

  const sizeOf = async (part: UploadRecord): Promise<number> => {
    const size = part.finalId === null && part.length !== null ? await resumable.size(part.handle) : null;
    if (size === null || size !== part.length) throw uploadProblems.create('unfinished-part');
    return size;
  };

  /** Writes down that the final upload takes the place of its parts. */
  const begin = async (draft: UploadRecord, parts: readonly UploadRecord[]): Promise<UploadRecord> => {
    const sizes = await Promise.all(parts.map(sizeOf));
    const length = sizes.reduce((sum, size) => sum + size, 0);
    assertFits(length, limits, Number.POSITIVE_INFINITY);
    return start(draft.id, async (handle) => {
      const record = { ...draft, handle, length };
      const { id, ownerId } = record;
      await forAccount(
        database.write(async (tx) => {
          const ids = parts.map((part) => part.id);
          const now = await uploadRecords.findAll(tx, ids);
          if (now.length < ids.length || now.some(({ finalId }) => finalId !== null)) {
            throw uploadProblems.create('unfinished-part');
          }
          for (const partId of ids) await quota.release(tx, partId);
          await quota.reserve(tx, { id, ownerId, bytes: length, ttlMs: reservationTtlMs });
          await uploadRecords.insert(tx, record);
          await uploadRecords.consume(tx, ids, record);
        }),
      );
      return record;
    });
  };

  const dropBytes = async (parts: readonly UploadRecord[]): Promise<void> => {
    for (const part of parts) {
      await resumable.abort(part.handle).catch((error: unknown) => {
        log.warn({ err: error, uploadId: part.id }, 'the bytes of a joined upload stay until it expires');
      });
    }
  };

  const join = async (record: UploadRecord, parts: readonly UploadRecord[], lock: WriteLock): Promise<UploadRecord> => {
    if (record.fileId !== null) return record;
    const handles = parts.map(({ handle }) => handle);
    // All bytes may be there already, from a request that came no further.
    if ((await resumable.size(record.handle)) !== record.length) {
      await resumable.concat(record.handle, handles, { signal: lock.signal });
    }
    try {
      const fileId = await complete(record, lock);
      await dropBytes(parts);
      return { ...record, fileId };
    } catch (error) {
      if (isRefusal(error)) await dropBytes(parts);
      throw error;
    }
  };

  return async (draft: UploadRecord, ids: readonly string[], concatenation: string): Promise<UploadRecord> => {
    const parts = await partsOf(draft.ownerId, ids);
    const { id } = (await findEarlier(parts, concatenation)) ?? (await begin(draft, parts));
    // The same request again must not end the first, which would begin anew each time and never be done.
    return locks.hold(id, (lock, record) => join(record, parts, lock), { isPatient: true });
  };
}
