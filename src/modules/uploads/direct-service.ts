import { createHash } from 'node:crypto';
import { randomToken, uuidv7 } from '../../kernel/ids.ts';
import { storageProblems } from '../../kernel/problems.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database } from '../../ports/database.ts';
import type { DirectAccess } from '../../ports/direct-access.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import type { Admit, Visibility } from './admission.ts';
import { forAccount } from './allowance.ts';
import { type DirectRecord, directRecords } from './direct-records.ts';
import { createDirectSweep, LATE_MS, PARTS_PLACE, PARTS_TTL_MS, WHOLE_PLACE } from './direct-sweep.ts';
import { readFileName } from './file-name.ts';
import { tapHead } from './incoming.ts';
import { assertFits, type StoredContent, type UploadLimits } from './intake.ts';
import { uploadProblems } from './problems.ts';
import type { Quota } from './quota.ts';
import { isRefusal } from './refusal.ts';
import { SNIFF_BYTES, sniffType } from './sniff.ts';
import { type FileRecord, fileStore } from './store.ts';

export interface DirectServiceOptions {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits: UploadLimits;
  readonly quota: Quota;
  readonly admit: Admit;
  /** Called after rows have let go of their objects. */
  readonly onDoomed: () => void;
}

/** What a client announces. */
export interface DirectDraft {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly type?: string | undefined;
  readonly sha256?: string | undefined;
  readonly visibility?: Visibility | undefined;
}

/** How the bytes are to be sent: in one request, or in parts. */
export type DirectTicket = { readonly id: string; readonly expiresAt: number } & (
  | { readonly url: string; readonly headers: Readonly<Record<string, string>> }
  | { readonly partSize: number; readonly parts: readonly { readonly number: number; readonly url: string }[] }
);

const MiB = 2 ** 20;
/** Up to this size an upload is one request, which starts anew when it breaks. */
const WHOLE_MAX_BYTES = 100 * MiB;
const MIN_PART_BYTES = 16 * MiB;
/** So many URLs are signed at most. */
const MAX_PARTS = 1_000;
const WHOLE_TTL_MS = 3_600_000;
const OPAQUE = 'application/octet-stream';

/**
 * Uploads that go from the client straight to the bucket. They become files like all others: only once their size and hash are
 * right, their type is found from the content and the admission hook lets them in.
 */
export function createDirectService(options: DirectServiceOptions) {
  const { database, store, clock, log, limits, quota, admit } = options;
  const { forget, discard, sweep } = createDirectSweep(options);

  const completing = new Map<string, Promise<FileRecord>>();

  const access = (): DirectAccess => {
    if (!store.direct) throw uploadProblems.create('direct-unsupported');
    return store.direct;
  };

  /** Ends what was refused. The URL of a whole upload may bring bytes again: its row and room are held until it cannot. */
  const refuse = async (record: DirectRecord): Promise<void> => {
    if (record.partsId !== null) await forget(record);
    else await database.write((tx) => directRecords.end(tx, record.id));
    // No machine makes a file of it from here on; one may have done so just before.
    if (!(await fileStore.isNamed(database, record.objectKey))) await discard(record.objectKey);
  };

  /** The object that will be the file's, out of reach of the URLs that were given away; `null` when it is not there yet. */
  const secure = async (record: DirectRecord): Promise<string | null> => {
    const { id, objectKey, partsId, partCount } = record;
    // The URLs of parts die when the object is made. That of a whole upload lives on, so what it wrote is copied away.
    if (partsId !== null) return (await access().completeParts(objectKey, partsId, partCount)) ? objectKey : null;
    const size = await access().sizeOf(objectKey);
    if (size === null) return null;
    if (size !== record.size) {
      await refuse(record);
      throw uploadProblems.create('size-mismatch');
    }
    const key = `files/${id}/${randomToken(12)}`;
    return (await access().copy(objectKey, key)) ? key : null;
  };

  /** Reads the object once, to see what it really is; one of another size is not read. */
  const examine = async (objectKey: string, size: number): Promise<StoredContent> => {
    const object = await store.get(objectKey);
    if (!object) throw storageProblems.create('unavailable');
    if (object.size !== size) {
      await (object.body instanceof Blob ? null : object.body.cancel());
      throw uploadProblems.create('size-mismatch');
    }
    const source = object.body instanceof Blob ? object.body.stream() : object.body;
    const { body, head } = tapHead(source as unknown as AsyncIterable<Uint8Array>, SNIFF_BYTES);
    const hash = createHash('sha256');
    for await (const chunk of body) hash.update(chunk);
    return { objectKey, size, sha256: hash.digest('hex'), type: await sniffType(head()) };
  };

  const becomeFile = async (record: DirectRecord, objectKey: string): Promise<FileRecord> => {
    const { id, name, ownerId, size, visibility, partsId, expiresAt } = record;
    const content = await examine(objectKey, size);
    if (record.sha256 !== null && record.sha256 !== content.sha256) throw uploadProblems.create('hash-mismatch');
    const [admitted] = await admit({
      ownerId,
      files: [{ ...content, id, name }],
      visibility,
      reservationId: id,
      keepsBytes: true,
      async alongside(tx) {
        if (!(await directRecords.end(tx, id))) throw uploadProblems.create('not-complete');
        if (partsId !== null) return;
        // Until it is dead the URL may bring as many bytes again, beside the file.
        await quota.hold(tx, { id, ownerId, bytes: size, ttlMs: expiresAt + LATE_MS - clock.now() });
      },
    });
    return admitted?.file as FileRecord;
  };

  const completeOnce = async (ownerId: string, id: string): Promise<FileRecord> => {
    access();
    const record = await directRecords.find(database.read, ownerId, id);
    const made = record?.isOver ? await fileStore.find(database.read, id) : null;
    if (made) return made;
    if (!record || record.isOver) throw uploadProblems.create('direct-not-found');
    if (clock.now() > record.expiresAt) throw uploadProblems.create('expired');
    const objectKey = await secure(record);
    if (objectKey === null) throw uploadProblems.create('not-complete');
    try {
      const file = await becomeFile(record, objectKey);
      if (objectKey !== record.objectKey) await discard(record.objectKey);
      return file;
    } catch (error) {
      // Another machine may have been faster, or the answer to our own commit was lost. A read may not show it yet.
      const other = (await fileStore.find(database.read, id)) ?? (await database.write((tx) => fileStore.find(tx, id)));
      if (objectKey !== record.objectKey && other?.objectKey !== objectKey) await discard(objectKey);
      if (other) return other;
      if (isRefusal(error)) await refuse(record);
      throw error;
    }
  };

  return {
    /** Reserves the quota and says where the bytes are to go. */
    async begin(ownerId: string, draft: DirectDraft): Promise<DirectTicket> {
      const direct = access();
      const { size, sha256 = null, visibility = 'private' } = draft;
      const name = readFileName(draft.name);
      const type = draft.type ?? OPAQUE;
      assertFits(size, limits, Number.POSITIVE_INFINITY);
      const id = uuidv7(clock.now());
      const isWhole = size <= WHOLE_MAX_BYTES;
      const objectKey = `${isWhole ? WHOLE_PLACE : PARTS_PLACE}${id}/${randomToken(12)}`;
      const partSize = Math.max(MIN_PART_BYTES, Math.ceil(size / MAX_PARTS / MiB) * MiB);
      const partCount = isWhole ? 0 : Math.ceil(size / partSize);
      const ttlMs = isWhole ? WHOLE_TTL_MS : PARTS_TTL_MS;
      const expiresInSeconds = ttlMs / 1_000;
      const [createdAt, expiresAt] = [clock.now(), clock.now() + ttlMs];
      const common = {
        id,
        ownerId,
        name,
        size,
        sha256,
        visibility,
        objectKey,
        isOver: false,
        createdAt,
        expiresAt,
      };

      const insert = (partsId: string | null) =>
        forAccount(
          database.write(async (tx) => {
            await quota.reserve(tx, { id, ownerId, bytes: size, ttlMs: ttlMs + LATE_MS });
            await directRecords.insert(tx, { ...common, partsId, partCount });
          }),
        );
      if (isWhole) {
        await insert(null);
        return { id, expiresAt, ...(await direct.uploadRequest(objectKey, { expiresInSeconds, size, type })) };
      }
      const partsId = await direct.createParts(objectKey, type);
      try {
        await insert(partsId);
      } catch (error) {
        await direct.abortParts(objectKey, partsId).catch((fault: unknown) => {
          log.warn({ err: fault, objectKey }, 'an upload in parts that was refused stays until it is swept');
        });
        throw error;
      }
      const parts = await Promise.all(
        Array.from({ length: partCount }, async (_, index) => {
          const bytes = Math.min(partSize, size - index * partSize);
          const part = { number: index + 1, size: bytes, expiresInSeconds };
          return { number: part.number, url: await direct.partUrl(objectKey, partsId, part) };
        }),
      );
      return { id, expiresAt, partSize, parts };
    },

    /** Makes a file of what was sent. A repeated call gives the same file; calls at the same time share the work. */
    complete(ownerId: string, id: string): Promise<FileRecord> {
      const name = `${ownerId} ${id}`;
      const running = completing.get(name) ?? completeOnce(ownerId, id).finally(() => completing.delete(name));
      completing.set(name, running);
      return running;
    },

    sweep,
  };
}

export type DirectService = ReturnType<typeof createDirectService>;
