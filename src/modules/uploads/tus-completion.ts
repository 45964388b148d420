import type { Logger } from '../../ports/logger.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import type { ResumableStore } from '../../ports/resumable-store.ts';
import type { Admit } from './admission.ts';
import { uploadProblems } from './problems.ts';
import { isRefusal } from './refusal.ts';
import { SNIFF_BYTES, sniffType } from './sniff.ts';
import type { WriteLock } from './tus-locks.ts';
import { readMetadata } from './tus-protocol.ts';
import { type UploadRecord, uploadRecords } from './tus-records.ts';

export interface CompletionOptions {
  readonly store: ObjectStore;
  readonly resumable: ResumableStore;
  readonly admit: Admit;
  readonly log: Logger;
  /** Removes an upload that may not become a file. */
  readonly remove: (record: UploadRecord, lock: WriteLock) => Promise<void>;
}

/**
 * Makes a complete upload a file: published, sniffed, admitted, and noted in the transaction that makes it visible. A crash in
 * between, or a database that is away, leaves it complete and to be done again; a refusal leaves nothing.
 */
export function createCompletion({ store, resumable, admit, log, remove }: CompletionOptions) {
  const typeOf = async (key: string, size: number): Promise<string> => {
    if (size === 0) return sniffType(new Uint8Array());
    const head = await store.get(key, { first: 0, last: Math.min(size, SNIFF_BYTES) - 1 });
    return sniffType(new Uint8Array(await new Response(head?.body).arrayBuffer()));
  };

  /** @returns the file's id. */
  return async (record: UploadRecord, lock: WriteLock): Promise<string> => {
    const { key, size, sha256 } = await resumable.finish(record.handle);
    const { name, visibility } = readMetadata(record.metadata);
    const content = { id: record.id, name, objectKey: key, size, sha256, type: await typeOf(key, size) };
    try {
      await admit({
        ownerId: record.ownerId,
        files: [content],
        visibility,
        reservationId: record.id,
        keepsBytes: true,
        async alongside(tx) {
          const updated = await uploadRecords.updateHeld(tx, lock, { fileId: record.id, length: size, holder: null });
          if (!updated) throw uploadProblems.create('locked');
        },
      });
    } catch (error) {
      if (isRefusal(error)) await remove(record, lock);
      throw error;
    }
    lock.ended();
    await resumable.settle(record.handle).catch((error: unknown) => {
      log.warn({ err: error, uploadId: record.id }, 'a complete upload could not be settled yet');
    });
    return record.id;
  };
}
