import { storageProblems } from '../../kernel/problems.ts';
import type { Database } from '../../ports/database.ts';
import type { ResumableStore } from '../../ports/resumable-store.ts';
import { forAccount } from './allowance.ts';
import { createChecksum, type ExpectedChecksum } from './checksums.ts';
import type { UploadLimits } from './intake.ts';
import { uploadProblems } from './problems.ts';
import type { Quota } from './quota.ts';
import type { WriteLock } from './tus-locks.ts';
import type { UploadRecord } from './tus-records.ts';

/** Bytes that a request carries. */
export interface IncomingBytes {
  readonly body: AsyncIterable<Uint8Array>;
  /** `Content-Length`; `null` when the client does not say. */
  readonly declaredBytes: number | null;
  readonly checksum: ExpectedChecksum | null;
}

export interface ReceiverOptions {
  readonly database: Database;
  readonly resumable: ResumableStore;
  readonly quota: Quota;
  readonly limits: UploadLimits;
  /** How long room stays reserved after the last byte. */
  readonly reservationTtlMs: number;
}

/** The connection cannot carry another request while bytes of this one are unread. */
const CLOSE = { headers: { connection: 'close' } };
/** An upload of unknown length reserves room in steps. */
const STEP_BYTES = 64 * 2 ** 20;

/**
 * Adds what a request carries to an upload, within its length, the file limit and the quota. When somebody else asks for the
 * upload meanwhile, it ends early, without an error if it took anything. Bytes with a checksum are added all or none.
 */
export function createReceiver({ database, resumable, quota, limits, reservationTtlMs }: ReceiverOptions) {
  const fileLimit = limits.maxFileBytes > 0 ? limits.maxFileBytes : Number.POSITIVE_INFINITY;

  /** Reserves quota for an upload whose length is not known yet. */
  const hold = async ({ id, ownerId }: UploadRecord, bytes: number, wantedBytes: number): Promise<number> => {
    const reservation = { id, ownerId, bytes: wantedBytes, ttlMs: reservationTtlMs };
    const held = await forAccount(database.write((tx) => quota.reserveUpTo(tx, reservation)));
    if (held < bytes) throw uploadProblems.create('quota-exceeded', CLOSE);
    return held;
  };

  async function* guarded(record: UploadRecord, offset: number, { body, declaredBytes, checksum }: IncomingBytes) {
    const running = checksum && createChecksum(checksum);
    const end = record.length ?? fileLimit;
    let heldTo = Number.POSITIVE_INFINITY;
    if (record.length === null && quota.isLimited) {
      heldTo = declaredBytes === null ? offset : await hold(record, offset + declaredBytes, offset + declaredBytes);
    }
    let at = offset;
    for await (const chunk of body) {
      if (at + chunk.length > end) {
        if (end > at) yield chunk.subarray(0, end - at);
        throw uploadProblems.create(record.length === null ? 'too-large' : 'beyond-length', CLOSE);
      }
      at += chunk.length;
      if (at > heldTo) heldTo = await hold(record, at, at + STEP_BYTES);
      running?.update(chunk);
      yield chunk;
    }
    if (running && !running.matches()) throw uploadProblems.create('checksum-mismatch');
  }

  /** @returns how much the upload has now. */
  return async (record: UploadRecord, lock: WriteLock, offset: number, incoming: IncomingBytes): Promise<number> => {
    const end = record.length ?? fileLimit;
    if (incoming.declaredBytes !== null && offset + incoming.declaredBytes > end) {
      throw uploadProblems.create(record.length === null ? 'too-large' : 'beyond-length', CLOSE);
    }
    const isAtomic = incoming.checksum !== null;
    try {
      const body = guarded(record, offset, incoming);
      return await resumable.append(record.handle, offset, body, { signal: lock.signal, isAtomic, isDisposable: true });
    } catch (error) {
      const isReleased = lock.signal.aborted && error === lock.signal.reason && lock.isReleaseAsked() && !isAtomic;
      const size = isReleased ? await resumable.size(record.handle) : null;
      if (size !== null && size > offset) return size;
      throw keptSoFar(error);
    }
  };
}

/** Says that what arrived was kept, where the general text says that nothing was. */
function keptSoFar(error: unknown): unknown {
  if (uploadProblems.is(error, 'stalled')) {
    const detail = 'No data arrived for too long. What had arrived is kept: ask for the offset and go on from there.';
    return uploadProblems.create('stalled', { ...CLOSE, detail, cause: error });
  }
  if (storageProblems.is(error, 'full')) {
    const detail = 'There is no room left to store this. What was stored before is kept: go on from there later.';
    return storageProblems.create('full', { ...CLOSE, detail, cause: error });
  }
  return error;
}
