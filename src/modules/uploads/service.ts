import type { Caller } from '../../kernel/caller.ts';
import type { EventBus } from '../../kernel/events.ts';
import { uuidv7 } from '../../kernel/ids.ts';
import { LruMap } from '../../kernel/lru.ts';
import { storageProblems } from '../../kernel/problems.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database, Queries } from '../../ports/database.ts';
import type { Images } from '../../ports/images.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ByteRange, ObjectBody, ObjectStore } from '../../ports/object-store.ts';
import {
  type AdmissionHook,
  type AdmissionRequest,
  type AdmittedFile,
  createAdmission,
  type NewFile,
  type Visibility,
} from './admission.ts';
import { type Allowance, type AllowanceRequest, createAllowances } from './allowance.ts';
import { readFileName } from './file-name.ts';
import { assertFits, createIntake, type StoredContent, type UploadLimits } from './intake.ts';
import { uploadProblems } from './problems.ts';
import { createQuota } from './quota.ts';
import { type FileRecord, fileStore } from './store.ts';
import { createVariants } from './variants.ts';

export interface UploadServiceOptions {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly log: Logger;
  readonly limits: UploadLimits;
  readonly images: Images;
  /** Downloads are sent to the store, where it can be reached by clients. */
  readonly redirectsDownloads: boolean;
  readonly admission: AdmissionHook;
  /** Called after rows have let go of their objects. */
  readonly onDoomed: () => void;
}

/** Files whose rows are remembered; about 5 MB when full. */
const RECENT_FILES = 10_000;

/** Stores one more file of a set. The body is read to its end or the call fails. */
export type AddFile = (name: string, body: AsyncIterable<Uint8Array>) => Promise<void>;

export type UploadService = ReturnType<typeof createUploadService>;

/**
 * Keeping files: bytes first, then the row that makes them a file, so that a row always has its bytes. Whatever fails in
 * between takes its bytes with it; a crash leaves them unsettled, for the reaper to find.
 */
export function createUploadService(options: UploadServiceOptions) {
  const { database, store, clock, events, log, limits, onDoomed } = options;
  const quota = createQuota(limits.userQuotaBytes, clock);
  const openAllowance = createAllowances(database, quota, log);
  const takeIn = createIntake(store, limits);
  const { admit, abandon } = createAdmission({ ...options, quota, hook: options.admission });

  const recent = new LruMap<string, { readonly file: FileRecord; readonly version: number }>(RECENT_FILES);

  /** A file as it is now: what was read stays true as long as the database says that nothing has changed. */
  const findCurrent = (id: string): FileRecord | Promise<FileRecord | null> => {
    const version = database.version();
    const kept = recent.get(id);
    if (kept && kept.version === version) return kept.file;
    return fileStore.find(database.read, id).then((file) => {
      if (file && version !== null) recent.set(id, { file, version });
      return file;
    });
  };

  /** The caller's own file, or anybody's for an admin; others' files do not exist for a caller. */
  const getOwned = async (queries: Queries, caller: Caller, id: string): Promise<FileRecord> => {
    const file = await fileStore.find(queries, id);
    if (!file || !isOwnedBy(file, caller)) throw uploadProblems.create('not-found');
    return file;
  };

  /** Stores what `receive` adds; when that fails, all of it is deleted again. */
  const receiveInto = async (
    stored: NewFile[],
    allowance: Allowance,
    receive: (add: AddFile) => Promise<Visibility>,
  ): Promise<Visibility> => {
    let { room } = allowance;
    try {
      const visibility = await receive(async (sentName, body) => {
        const name = readFileName(sentName);
        const id = uuidv7(clock.now());
        const content = await takeIn(id, allowance.metered(body), room);
        room -= content.size;
        stored.push({ ...content, id, name });
      });
      if (stored.length === 0) throw uploadProblems.create('no-file');
      return visibility;
    } catch (error) {
      await abandon(stored);
      throw error;
    }
  };

  /**
   * Stores one body and has it admitted as `describe` says; when any of that fails nothing is kept.
   * @param body its chunks are not used by anybody else.
   */
  const takeOne = async (
    { objectOf, ...request }: AllowanceRequest & { readonly objectOf: string },
    body: AsyncIterable<Uint8Array>,
    describe: (content: StoredContent) => Omit<AdmissionRequest, 'ownerId' | 'reservationId'>,
  ): Promise<readonly AdmittedFile[]> => {
    const { ownerId, declaredBytes } = request;
    const allowance = await openAllowance(request);
    let isAdmitted = false;
    try {
      if (declaredBytes !== null) assertFits(declaredBytes, limits, allowance.room);
      const content = await takeIn(objectOf, allowance.metered(body), allowance.room, true);
      const wanted = await describeOrAbandon(content, describe);
      const admitted = await admit({ ...wanted, ownerId, reservationId: allowance.reservationId() });
      isAdmitted = true;
      return admitted;
    } finally {
      await allowance.end(isAdmitted);
    }
  };

  const describeOrAbandon = async <T>(content: StoredContent, describe: (content: StoredContent) => T): Promise<T> => {
    try {
      return describe(content);
    } catch (error) {
      await abandon([content]);
      throw error;
    }
  };

  return {
    admit,
    quota,
    getOwned,
    /** Where clients are sent for content, when they are. */
    directDownloads: options.redirectsDownloads ? (store.direct ?? null) : null,
    variants: createVariants({ ...options, abandon }),

    /**
     * Keeps a set of files, all or none. `receive` adds them one after the other and says who may see them; when it
     * throws, none is kept.
     * @param declaredBytes what the client says all of it has; `null` when it does not say.
     */
    async createAll(
      ownerId: string,
      declaredBytes: number | null,
      receive: (add: AddFile) => Promise<Visibility>,
    ): Promise<readonly FileRecord[]> {
      const stored: NewFile[] = [];
      const allowance = await openAllowance({ ownerId, declaredBytes });
      let isAdmitted = false;
      try {
        const visibility = await receiveInto(stored, allowance, receive);
        const reservationId = allowance.reservationId();
        const admitted = await admit({ ownerId, files: stored, visibility, reservationId });
        isAdmitted = true;
        return admitted.map(({ file }) => file);
      } finally {
        await allowance.end(isAdmitted);
      }
    },

    /**
     * Keeps a body under a name: the content of the owner's newest file of that name is replaced, else a file is made.
     * @param body its chunks are not used by anybody else.
     * @param declaredBytes what the client says the body has; `null` when it does not say.
     */
    async putByName(
      ownerId: string,
      sentName: string,
      body: AsyncIterable<Uint8Array>,
      declaredBytes: number | null,
    ): Promise<AdmittedFile> {
      const name = readFileName(sentName);
      if (declaredBytes !== null) assertFits(declaredBytes, limits, Number.POSITIVE_INFINITY);
      const before = await fileStore.findByName(database.read, ownerId, name);
      const replaced = before ? { fileId: before.id, size: before.size } : undefined;
      const id = uuidv7(clock.now());
      const incoming = { ownerId, objectOf: before?.id ?? id, declaredBytes, replaced };
      const [admitted] = await takeOne(incoming, body, (content) => ({
        files: [{ ...content, id, name }],
        visibility: 'private',
        isReplacing: true,
      }));
      return admitted as AdmittedFile;
    },

    takeOne,

    /** An owner's files, newest first; `next` is the id to go on from. */
    async list(ownerId: string, limit: number, before: string | null) {
      const found = await fileStore.list(database.read, ownerId, limit + 1, before);
      const items = found.slice(0, limit);
      return { items, next: found.length > limit ? (items.at(-1)?.id ?? null) : null };
    },

    /** A file that the caller may read: their own, a public one, any for an admin. `null` when there is none. */
    findReadable(caller: Caller | null, id: string): FileRecord | null | Promise<FileRecord | null> {
      const file = findCurrent(id);
      return file instanceof Promise ? file.then((found) => readableBy(caller, found)) : readableBy(caller, file);
    },

    /** A file whoever asks: for those who hold a link to it. */
    find: (id: string): Promise<FileRecord | null> => fileStore.find(database.read, id),

    /** Opens a file's bytes, or an inclusive range of them. */
    async open(file: FileRecord, range?: ByteRange): Promise<ObjectBody['body']> {
      const object = await store.get(file.objectKey, range);
      if (object) return object.body;
      // Replaced or deleted since its row was read; else bytes are missing, which only an operator can mend.
      if (await fileStore.hasObject(database.read, file.objectKey)) {
        log.error({ fileId: file.id, objectKey: file.objectKey }, 'the bytes of a file are missing');
      }
      throw storageProblems.create('unavailable');
    },

    async change(caller: Caller, id: string, wanted: { readonly name?: string; readonly visibility?: Visibility }) {
      const changes: Partial<FileRecord> = { updatedAt: clock.now() };
      if (wanted.name !== undefined) changes.name = readFileName(wanted.name);
      if (wanted.visibility !== undefined) changes.visibility = wanted.visibility;
      const file = await database.write(async (tx) => {
        const before = await getOwned(tx, caller, id);
        await fileStore.update(tx, id, changes);
        return { ...before, ...changes };
      });
      events.emit('files/changed', { fileId: id, ownerId: file.ownerId });
      return file;
    },

    async remove(caller: Caller, id: string): Promise<void> {
      const { ownerId } = await database.write(async (tx) => {
        const file = await getOwned(tx, caller, id);
        await fileStore.remove(tx, id);
        return file;
      });
      onDoomed();
      events.emit('files/deleted', { fileId: id, ownerId });
    },
  };
}

function readableBy(caller: Caller | null, file: FileRecord | null): FileRecord | null {
  return file && (file.visibility === 'public' || (caller && isOwnedBy(file, caller))) ? file : null;
}

function isOwnedBy(file: FileRecord, caller: Caller): boolean {
  return caller.role === 'admin' || file.ownerId === caller.id;
}
