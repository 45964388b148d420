import type { EventBus } from '../../kernel/events.ts';
import type { Hook } from '../../kernel/hooks.ts';
import { uuidv7 } from '../../kernel/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database, Queries } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ByteRange, ObjectBody, ObjectStore } from '../../ports/object-store.ts';
import { forAccount } from './allowance.ts';
import { nameOfCopy } from './file-name.ts';
import type { StoredContent, UploadLimits } from './intake.ts';
import { uploadProblems } from './problems.ts';
import type { Quota } from './quota.ts';
import { isPicture } from './sniff.ts';
import { type FileRecord, fileStore } from './store.ts';

export type Visibility = FileRecord['visibility'];

/** Bytes that ask to become a file. */
export interface NewFile extends StoredContent {
  /** Id of the file, should it be a new one. */
  readonly id: string;
  /** As {@link readFileName} gave it. */
  readonly name: string;
}

/** What handlers of the admission hook are shown: bytes that are stored and that nobody can reach yet. */
export interface Admission {
  readonly ownerId: string;
  readonly visibility: Visibility;
  readonly files: readonly CandidateFile[];
}

export interface CandidateFile extends Pick<NewFile, 'id' | 'name' | 'size' | 'type' | 'sha256'> {
  /** The bytes, or an inclusive range of them. */
  open(range?: ByteRange): Promise<ObjectBody['body']>;
}

/**
 * Runs before files become visible, whichever way their bytes came: the place for a virus scanner or a rule about types. A handler
 * refuses by throwing a problem, `uploads/refused` when it has no better one; one that does not go on refuses as well.
 * Nothing is left of what is refused.
 */
export type AdmissionHook = Hook<Admission>;

export interface AdmissionRequest {
  readonly ownerId: string;
  /** All become visible or none. */
  readonly files: readonly NewFile[];
  /** Of files that are made; a replaced one keeps its own. */
  readonly visibility: Visibility;
  /** The content of the owner's newest file of the name is replaced, where there is one. */
  readonly isReplacing?: boolean;
  /**
   * The files are what they were once: the owner's file of the same id gets the content, and what it has by now stays beside it as a
   * copy. An id that somebody else's file has is not used.
   */
  readonly isRestoring?: boolean;
  /** Quota held for these bytes; it ends with the transaction that makes them files. */
  readonly reservationId: string | null;
  /** The bytes of what is not admitted are left to the caller. */
  readonly keepsBytes?: boolean;
  /** Runs in that same transaction, for what must be true exactly when the files are there. */
  readonly alongside?: (tx: Queries, admitted: readonly AdmittedFile[]) => Promise<void>;
}

export interface AdmittedFile {
  readonly file: FileRecord;
  readonly isNew: boolean;
}

/**
 * Makes stored bytes into visible files: limits, the hook, then rows and quota in one transaction. When it throws, the bytes
 * are deleted, unless the caller keeps them, and what `alongside` did is undone; the reservation is left to the caller.
 */
export type Admit = (request: AdmissionRequest) => Promise<readonly AdmittedFile[]>;

export interface AdmissionOptions {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly log: Logger;
  readonly limits: UploadLimits;
  readonly quota: Quota;
  readonly hook: AdmissionHook;
  /** Called after rows have let go of their objects. */
  readonly onDoomed: () => void;
}

/** The one door to visibility. {@link Admit} goes through it; `abandon` is for bytes that never get there. */
export function createAdmission(options: AdmissionOptions): {
  readonly admit: Admit;
  /** Deletes what was stored for rows that did not come to be. Never throws. */
  abandon(objects: readonly { readonly objectKey: string }[]): Promise<void>;
} {
  const { database, store, clock, events, log, limits, quota, hook, onDoomed } = options;

  const abandon = async (objects: readonly { readonly objectKey: string }[]): Promise<void> => {
    for (const { objectKey } of objects) {
      try {
        // A commit may have failed after it took effect: then the row stands and its bytes must too.
        const isKept = await fileStore.isNamed(database, objectKey);
        await (isKept ? store.settle(objectKey) : store.delete(objectKey));
      } catch (error) {
        log.error({ err: error, objectKey }, 'an object of a failed upload stays until the next start');
      }
    }
  };

  /** The rows are safe. When this fails the next start does it. */
  const settle = async (contents: readonly StoredContent[]): Promise<void> => {
    for (const { objectKey } of contents) {
      await store.settle(objectKey).catch((error: unknown) => {
        log.warn({ err: error, objectKey }, 'an object could not be settled yet');
      });
    }
  };

  const candidate = ({ id, name, size, type, sha256, objectKey }: NewFile): CandidateFile => ({
    id,
    name,
    size,
    type,
    sha256,
    async open(range) {
      const object = await store.get(objectKey, range);
      if (!object) throw new Error('the bytes of a candidate are gone');
      return object.body;
    },
  });

  const record = (request: AdmissionRequest): Promise<readonly AdmittedFile[]> =>
    forAccount(
      database.write(async (tx) => {
        const { ownerId, files, reservationId, isRestoring, alongside } = request;
        const pairs: { readonly wanted: NewFile; readonly current: FileRecord | null }[] = [];
        for (const wanted of files) {
          // Another upload may have made, replaced or deleted the file meanwhile.
          if (isRestoring) pairs.push(await restored(tx, ownerId, wanted));
          else if (request.isReplacing) {
            pairs.push({ wanted, current: await fileStore.findByName(tx, ownerId, wanted.name) });
          } else pairs.push({ wanted, current: null });
        }
        const freed = (current: FileRecord | null) => (isRestoring ? 0 : (current?.size ?? 0));
        const addedBytes = pairs.reduce((sum, { wanted, current }) => sum + wanted.size - freed(current), 0);
        await quota.settle(tx, ownerId, addedBytes, reservationId);
        const newCount = pairs.filter(({ current }) => isRestoring || !current).length;
        if (limits.userMaxFiles > 0 && newCount > 0) {
          const keptCount = await fileStore.countOf(tx, ownerId);
          if (keptCount + newCount > limits.userMaxFiles) throw uploadProblems.create('too-many-files');
        }
        const admitted: AdmittedFile[] = [];
        for (const { wanted, current } of pairs) {
          const change = current ? await replace(tx, current, wanted) : await make(tx, request, wanted);
          if (isRestoring && current) admitted.push(await keepCopy(tx, current));
          admitted.push(change);
        }
        await alongside?.(tx, admitted);
        return admitted;
      }),
    );

  const make = async (
    tx: Queries,
    { ownerId, visibility }: AdmissionRequest,
    wanted: NewFile,
  ): Promise<AdmittedFile> => {
    const now = clock.now();
    const thumbhash = thumbhashAtFirst(wanted.type);
    const file = { ...wanted, ownerId, visibility, thumbhash, createdAt: now, updatedAt: now };
    await fileStore.insert(tx, file);
    return { file, isNew: true };
  };

  const replace = async (tx: Queries, current: FileRecord, wanted: NewFile): Promise<AdmittedFile> => {
    const { objectKey, size, sha256, type } = wanted;
    const updatedAt = Math.max(clock.now(), current.createdAt);
    const changes = { objectKey, size, sha256, type, thumbhash: thumbhashAtFirst(type), updatedAt };
    await fileStore.update(tx, current.id, changes);
    return { file: { ...current, ...changes }, isNew: false };
  };

  const restored = async (tx: Queries, ownerId: string, wanted: NewFile) => {
    const current = await fileStore.find(tx, wanted.id);
    if (!current || current.ownerId === ownerId) return { wanted, current };
    return { wanted: { ...wanted, id: uuidv7(clock.now()) }, current: null };
  };

  /** What a file had before its content was replaced in this transaction becomes a file of its own. */
  const keepCopy = async (tx: Queries, before: FileRecord): Promise<AdmittedFile> => {
    const now = clock.now();
    const name = nameOfCopy(before.name, new Date(now));
    const file: FileRecord = {
      ...before,
      id: uuidv7(now),
      name,
      visibility: 'private',
      createdAt: now,
      updatedAt: now,
    };
    await fileStore.insert(tx, file);
    // Losing its name has doomed the object.
    await fileStore.forgetDoomed(tx, [before.objectKey]);
    return { file, isNew: true };
  };

  const admit: Admit = async (request) => {
    const { ownerId, files, visibility } = request;
    let admitted: readonly AdmittedFile[] | null = null;
    try {
      for (const file of files) assertAllowed(file, limits);
      await hook.run({ ownerId, visibility, files: files.map(candidate) }, async () => {
        admitted = await record(request);
      });
      if (!admitted) throw uploadProblems.create('refused');
    } catch (error) {
      if (!admitted) {
        if (!request.keepsBytes) await abandon(files);
        throw error;
      }
      log.error({ err: error }, 'an admission handler failed after the files were admitted');
    }
    await settle(files);
    return tell(admitted, ownerId);
  };

  const tell = (admitted: readonly AdmittedFile[], ownerId: string): readonly AdmittedFile[] => {
    for (const { file, isNew } of admitted) {
      events.emit(isNew ? 'files/created' : 'files/changed', { fileId: file.id, ownerId });
    }
    if (admitted.some(({ isNew }) => !isNew)) onDoomed();
    return admitted;
  };

  return { admit, abandon };
}

function assertAllowed({ size, type }: NewFile, { maxFileBytes, types }: UploadLimits): void {
  if (maxFileBytes > 0 && size > maxFileBytes) throw uploadProblems.create('too-large');
  const essence = type.split(';', 1)[0] as string;
  const isListed = (range: string) =>
    range.endsWith('/*') ? essence.startsWith(range.slice(0, -1)) : essence === range;
  if (types.length > 0 && !types.some(isListed)) throw uploadProblems.create('type-not-allowed');
}

/** Pictures get theirs soon; what is no picture never does. */
function thumbhashAtFirst(type: string): string | null {
  return isPicture(type) ? null : '';
}
