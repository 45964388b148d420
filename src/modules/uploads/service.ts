import type { Caller } from '../../kernel/caller.ts';
import type { EventBus } from '../../kernel/events.ts';
import { uuidv7 } from '../../kernel/ids.ts';
import { LruMap } from '../../kernel/lru.ts';
import { accessProblems, storageProblems } from '../../kernel/problems.ts';
import type { Clock } from '../../ports/clock.ts';
import { ConstraintError, type Database, type Queries } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ByteRange, ObjectBody, ObjectStore } from '../../ports/object-store.ts';
import { readFileName } from './file-name.ts';
import { assertFits, quotaLeft, type StoredContent, takeIn, type UploadLimits } from './intake.ts';
import { uploadProblems } from './problems.ts';
import { type FileRecord, fileStore } from './store.ts';

export type Visibility = FileRecord['visibility'];

export interface UploadServiceOptions {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly log: Logger;
  readonly limits: UploadLimits;
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
export function createUploadService({ database, store, clock, events, log, limits, onDoomed }: UploadServiceOptions) {
  /** Deletes what was stored for rows that did not come to be. */
  const abandon = async (contents: readonly StoredContent[]): Promise<void> => {
    for (const { objectKey } of contents) {
      try {
        // A commit may have failed after it took effect: then the row stands and its bytes must too.
        const isKept = await fileStore.hasObject(database.read, objectKey);
        await (isKept ? store.settle(objectKey) : store.delete(objectKey));
      } catch (error) {
        log.error({ err: error, objectKey }, 'an object of a failed upload stays until the next start');
      }
    }
  };

  /** The row is safe. When this fails the next start does it. */
  const settle = async (contents: readonly StoredContent[]): Promise<void> => {
    for (const { objectKey } of contents) {
      await store.settle(objectKey).catch((error: unknown) => {
        log.warn({ err: error, objectKey }, 'an object could not be settled yet');
      });
    }
  };

  /** Runs the transaction that names the contents, and ends their unsettled state either way. */
  const record = async <T>(contents: readonly StoredContent[], work: (tx: Queries) => Promise<T>): Promise<T> => {
    try {
      const result = await database.write(work);
      await settle(contents);
      return result;
    } catch (error) {
      await abandon(contents);
      // The account went away while its upload was running.
      if (error instanceof ConstraintError && error.kind === 'foreign-key') throw accessProblems.create('required');
      throw error;
    }
  };

  const leftFor = async (queries: Queries, ownerId: string): Promise<number> =>
    limits.userQuotaBytes > 0
      ? quotaLeft(limits, await fileStore.usedBytes(queries, ownerId))
      : Number.POSITIVE_INFINITY;

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

  return {
    /**
     * Keeps a set of files, all or none. `receive` adds them one after the other and says who may see them; when it
     * throws, none is kept.
     */
    async createAll(ownerId: string, receive: (add: AddFile) => Promise<Visibility>): Promise<readonly FileRecord[]> {
      const stored: (StoredContent & { readonly id: string; readonly name: string })[] = [];
      let room = await leftFor(database.read, ownerId);
      let visibility: Visibility;
      try {
        visibility = await receive(async (sentName, body) => {
          const name = readFileName(sentName);
          const id = uuidv7(clock.now());
          const content = await takeIn(store, id, body, limits, room);
          room -= content.size;
          stored.push({ ...content, id, name });
        });
        if (stored.length === 0) throw uploadProblems.create('no-file');
      } catch (error) {
        await abandon(stored);
        throw error;
      }
      const now = clock.now();
      const records = stored.map((file) => ({ ...file, ownerId, visibility, createdAt: now, updatedAt: now }));
      await record(stored, async (tx) => {
        const total = stored.reduce((sum, { size }) => sum + size, 0);
        if (total > (await leftFor(tx, ownerId))) throw uploadProblems.create('quota-exceeded');
        await fileStore.insert(tx, records);
      });
      for (const { id } of records) events.emit('files/created', { fileId: id, ownerId });
      return records;
    },

    /**
     * Keeps a body under a name: the content of the owner's newest file of that name is replaced, else a file is made.
     * @param declaredBytes what the client says the body has, to refuse early; `null` when it does not say.
     */
    async putByName(
      ownerId: string,
      sentName: string,
      body: AsyncIterable<Uint8Array>,
      declaredBytes: number | null,
    ): Promise<{ readonly file: FileRecord; readonly isNew: boolean }> {
      const name = readFileName(sentName);
      const before = await fileStore.findByName(database.read, ownerId, name);
      const room = (await leftFor(database.read, ownerId)) + (before?.size ?? 0);
      if (declaredBytes !== null) assertFits(declaredBytes, limits, room);
      const newId = uuidv7(clock.now());
      const content = await takeIn(store, before?.id ?? newId, body, limits, room);

      const outcome = await record([content], async (tx) => {
        // Another upload may have made, replaced or deleted the file meanwhile.
        const current = await fileStore.findByName(tx, ownerId, name);
        if (content.size > (await leftFor(tx, ownerId)) + (current?.size ?? 0))
          throw uploadProblems.create('quota-exceeded');
        const updatedAt = Math.max(clock.now(), current?.createdAt ?? 0);
        if (current) {
          const changes = { ...content, updatedAt };
          await fileStore.update(tx, current.id, changes);
          return { file: { ...current, ...changes }, isNew: false };
        }
        const file: FileRecord = {
          ...content,
          id: newId,
          ownerId,
          name,
          visibility: 'private',
          createdAt: updatedAt,
          updatedAt,
        };
        await fileStore.insert(tx, [file]);
        return { file, isNew: true };
      });
      if (outcome.isNew) events.emit('files/created', { fileId: outcome.file.id, ownerId });
      else onDoomed();
      return outcome;
    },

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
      return database.write(async (tx) => {
        const file = await getOwned(tx, caller, id);
        await fileStore.update(tx, id, changes);
        return { ...file, ...changes };
      });
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
