import { uuidv7 } from '../../kernel/ids.ts';
import { storageProblems } from '../../kernel/problems.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import type { ResumableStore } from '../../ports/resumable-store.ts';
import type { Admit } from './admission.ts';
import { forAccount } from './allowance.ts';
import { assertFits, type UploadLimits } from './intake.ts';
import { uploadProblems } from './problems.ts';
import type { Quota } from './quota.ts';
import { createBeginning } from './tus-beginning.ts';
import { createCompletion } from './tus-completion.ts';
import { createJoining } from './tus-joining.ts';
import { createUploadLocks, type WriteLock } from './tus-locks.ts';
import { parseConcatenation, readMetadata } from './tus-protocol.ts';
import { createReceiver, type IncomingBytes } from './tus-receive.ts';
import { type UploadRecord, uploadRecords } from './tus-records.ts';
import { createUploadSweep } from './tus-sweep.ts';

export interface ResumableServiceOptions {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly resumable: ResumableStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits: UploadLimits;
  readonly quota: Quota;
  readonly admit: Admit;
  /** Names this process among all that share the database. */
  readonly holder: string;
  /** Whether the process of that name is known to have died; `false` when nobody can tell. */
  readonly isDead: (holder: string) => boolean;
  /** An upload to which nothing was added for so long is deleted. */
  readonly expiryMs: number;
}

/** What a client asks for when it begins an upload; the texts are headers as they were sent. */
export interface UploadDraft {
  /** `null` when it is to be told later. */
  readonly length: number | null;
  readonly metadata: string;
  readonly concatenation: string | null;
  /** The first bytes, when they come along. */
  readonly incoming: IncomingBytes | null;
}

export interface AppendRequest extends IncomingBytes {
  readonly offset: number;
  /** The length, told only now. */
  readonly length: number | null;
}

/** An upload as its owner sees it. */
export interface UploadState {
  readonly record: UploadRecord;
  /** Bytes that are safe; `null` while parts are being joined. */
  readonly offset: number | null;
  /** Not everything that was sent was taken, so the connection is of no more use. */
  readonly isCut?: boolean;
}

export type ResumableService = ReturnType<typeof createResumableService>;

/** A reservation outlives its upload a little, so that it ends with it and not before. */
const RESERVATION_GRACE_MS = 3_600_000;

/** Resumable uploads: begun, added to, looked at, ended; a complete one becomes a file. */
export function createResumableService(options: ResumableServiceOptions) {
  const { database, resumable, clock, log, limits, quota, expiryMs } = options;
  const reservationTtlMs = expiryMs + RESERVATION_GRACE_MS;
  const locks = createUploadLocks({
    ...options,
    async onHold(tx, id) {
      if (quota.isLimited) await quota.prolong(tx, id, reservationTtlMs);
      return { expiresAt: clock.now() + expiryMs };
    },
  });

  const remove = async (record: UploadRecord, lock: WriteLock): Promise<void> => {
    await (record.fileId === null ? resumable.abort(record.handle) : resumable.settle(record.handle));
    await database.write(async (tx) => {
      await quota.release(tx, record.id);
      await uploadRecords.removeHeld(tx, lock);
    });
    lock.ended();
  };

  const receive = createReceiver({ ...options, reservationTtlMs });
  const complete = createCompletion({ ...options, remove });
  const start = createBeginning(options);
  const join = createJoining({ ...options, locks, reservationTtlMs, start, complete });
  const sweep = createUploadSweep(options);

  /** As the primary has it: what is read here may be behind what another machine did. */
  const findNow = async (id: string): Promise<UploadRecord | null> => {
    const isLocalTrue = database.version() !== null;
    return isLocalTrue ? uploadRecords.find(database.read, id) : database.write((tx) => uploadRecords.find(tx, id));
  };

  /** The caller's own upload; others' do not exist for a caller. */
  const getOwn = async (ownerId: string, id: string): Promise<UploadRecord> => {
    const record = (await uploadRecords.find(database.read, id)) ?? (await findNow(id));
    if (!record || record.ownerId !== ownerId) throw uploadProblems.create('not-found');
    const isWritten = record.holder !== null && record.heldUntil > clock.now();
    if (record.expiresAt <= clock.now() && !isWritten) throw uploadProblems.create('expired');
    return record;
  };

  /** The bytes that are safe, of an upload that has not become a file. */
  const safeSize = async ({ handle }: UploadRecord): Promise<number> => {
    const size = await resumable.size(handle);
    if (size === null) throw storageProblems.create('gone');
    return size;
  };

  /** Makes an upload with all its bytes a file, unless it is a part of one. */
  const finishIfComplete = async (record: UploadRecord, offset: number, lock: WriteLock): Promise<UploadState> => {
    const isWhole = record.concatenation === null && record.length === offset;
    return { record: isWhole ? { ...record, fileId: await complete(record, lock) } : record, offset };
  };

  /** A length told late is binding, and needs room. */
  const fixLength = async (
    record: UploadRecord,
    lock: WriteLock,
    length: number | null,
    offset: number,
  ): Promise<UploadRecord> => {
    if (length === null || length === record.length) return record;
    if (record.length !== null || length < offset) {
      throw uploadProblems.create('invalid-header', { detail: 'Upload-Length cannot be changed to this any more.' });
    }
    assertFits(length, limits, Number.POSITIVE_INFINITY);
    return forAccount(
      database.write(async (tx) => {
        const { id, ownerId } = record;
        await quota.reserve(tx, { id, ownerId, bytes: length, ttlMs: reservationTtlMs });
        const updated = await uploadRecords.updateHeld(tx, lock, { length });
        if (!updated) throw uploadProblems.create('locked');
        return updated;
      }),
    );
  };

  /** The first bytes of an upload whose address nobody knows yet: when they fail, it goes. */
  const begin = async (record: UploadRecord, lock: WriteLock, incoming: IncomingBytes | null): Promise<UploadState> => {
    const receiving = incoming ? receive(record, lock, 0, incoming) : Promise.resolve(0);
    const offset = await receiving.catch(async (error: unknown) => {
      await remove(record, lock).catch((fault: unknown) => {
        log.warn({ err: fault, uploadId: record.id }, 'an upload that failed at once stays until it expires');
      });
      throw error;
    });
    return { ...(await finishIfComplete(record, offset, lock)), isCut: lock.isReleaseAsked() };
  };

  return {
    sweep,

    async create(ownerId: string, { length, metadata, concatenation, incoming }: UploadDraft): Promise<UploadState> {
      readMetadata(metadata);
      if (length !== null) assertFits(length, limits, Number.POSITIVE_INFINITY);
      const now = clock.now();
      const id = uuidv7(now);
      const common = { id, ownerId, metadata, concatenation, finalId: null, fileId: null, createdAt: now };
      const draft = { ...common, handle: '', length, expiresAt: now + expiryMs, ...locks.firstHold(), holder: null };
      const parsed = parseConcatenation(concatenation);
      if (parsed?.kind === 'final') {
        const record = await join(draft, parsed.ids, concatenation as string);
        return { record, offset: record.length };
      }

      const isHeld = incoming !== null || length === 0;
      const record = await start(id, async (handle) => {
        const made: UploadRecord = { ...draft, handle, ...(isHeld ? locks.firstHold() : {}) };
        await forAccount(
          database.write(async (tx) => {
            if (length !== null) await quota.reserve(tx, { id, ownerId, bytes: length, ttlMs: reservationTtlMs });
            await uploadRecords.insert(tx, made);
          }),
        );
        return made;
      });
      return isHeld ? locks.own(id, (lock) => begin(record, lock, incoming)) : { record, offset: 0 };
    },

    /** Adds bytes at the offset, which must be that of the upload. */
    async append(ownerId: string, id: string, { offset, length, ...incoming }: AppendRequest): Promise<UploadState> {
      const seen = await getOwn(ownerId, id);
      if (seen.concatenation?.startsWith('final')) throw uploadProblems.create('final-upload');
      return locks.hold(id, async (lock, held) => {
        const isOver = held.fileId !== null || held.finalId !== null;
        const size = isOver ? held.length : await safeSize(held);
        if (offset !== size) throw storageProblems.create('wrong-offset', { headers: { connection: 'close' } });
        if (isOver && incoming.declaredBytes === 0) return { record: held, offset: size };
        if (isOver) throw uploadProblems.create('beyond-length', { headers: { connection: 'close' } });
        const record = await fixLength(held, lock, length, offset);
        const end = await receive(record, lock, offset, incoming);
        return { ...(await finishIfComplete(record, end, lock)), isCut: lock.isReleaseAsked() };
      });
    },

    /** How far an upload is, after whoever writes to it was asked to stop. */
    async describe(ownerId: string, id: string): Promise<UploadState> {
      const seen = await getOwn(ownerId, id);
      if (seen.fileId !== null || seen.finalId !== null) return { record: seen, offset: seen.length };
      if (seen.concatenation?.startsWith('final')) return { record: seen, offset: null };
      await locks.quiet(seen);
      const size = await resumable.size(seen.handle);
      const record = size === null ? await findNow(id) : await getOwn(ownerId, id);
      if (!record) throw uploadProblems.create('not-found');
      if (record.fileId !== null || record.finalId !== null) return { record, offset: record.length };
      if (size === null) throw storageProblems.create('gone');
      const offset = size;
      if (record.concatenation !== null || record.length !== offset) return { record, offset };
      // The last byte arrived, and then something broke.
      return locks.hold(id, async (lock, held) =>
        held.fileId === null ? finishIfComplete(held, offset, lock) : { record: held, offset },
      );
    },

    /** Ends an upload. A file that it became stays. */
    async terminate(ownerId: string, id: string): Promise<void> {
      await getOwn(ownerId, id);
      await locks.hold(id, (lock, record) => remove(record, lock));
    },

    /** Asks every running request to keep what it has and end. */
    drain: locks.drain,
  };
}
