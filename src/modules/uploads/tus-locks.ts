import { serverProblems } from '../../kernel/problems.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database, Queries } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import { uploadProblems } from './problems.ts';
import { type Hold, type UploadRecord, uploadRecords } from './tus-records.ts';

/** The right to write to one upload, while `work` runs. */
export interface WriteLock extends Hold {
  /** Aborted when the right is lost or somebody else waits for it; {@link isReleaseAsked} tells which. */
  readonly signal: AbortSignal;
  /** Whether the end was asked for: what arrived is kept and the lock is still ours. */
  isReleaseAsked(): boolean;
  /** `work` has given the right up itself, together with its last change. */
  ended(): void;
}

/**
 * One writer for each upload, of all processes on all machines. A newcomer does not wait behind a writer: it asks it to keep what it
 * has and let go, which ends those whose client is long gone. The right lies in the upload's row and ends by itself, so that of
 * a machine that died is taken over; its fence tells a late writer's changes from those of the new one. Reading needs no right.
 */
export interface UploadLocks {
  /** What a new row says when its maker is the first to write to it. */
  firstHold(): Pick<UploadRecord, 'holder' | 'heldUntil' | 'fence' | 'isReleaseAsked'>;
  /** Runs `work` on a row that was made with {@link firstHold}. */
  own<T>(id: string, work: (lock: WriteLock) => Promise<T>): Promise<T>;
  /**
   * Runs `work` as soon as the upload has no other writer. Throws `uploads/locked` when the writer does not let go in time,
   * `uploads/not-found` when there is no such upload.
   */
  hold<T>(id: string, work: (lock: WriteLock, record: UploadRecord) => Promise<T>, options?: HoldOptions): Promise<T>;
  /** Asks a writer to keep what it has and let go, and waits for that a while. */
  quiet(record: UploadRecord): Promise<void>;
  /** Asks every writer of this process to let go, waits until all have, and takes no new one. */
  drain(): Promise<void>;
}

export interface HoldOptions {
  /** Waits for another writer without asking it to let go. */
  readonly isPatient?: boolean;
}

export interface UploadLockOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  /** Names this process among all that share the database. */
  readonly holder: string;
  /** Whether the process of that name is known to have died; `false` when nobody can tell. */
  readonly isDead: (holder: string) => boolean;
  /** Runs in the transaction that takes a lock. @returns what else changes in the row. */
  readonly onHold: (tx: Queries, id: string) => Promise<Partial<UploadRecord>>;
}

/** A right that is not renewed ends after so long. */
const TTL_MS = 15_000;
const RENEW_MS = 5000;
/** A writer that could not renew stops so long before the end. */
const MARGIN_MS = 3000;
/** How often a writer looks whether somebody waits. */
const LOOK_MS = 500;
/** How long a newcomer waits for the writer to let go. */
const PATIENCE_MS = 10_000;
const RETRY_MS = 150;

interface Writer {
  readonly stop: AbortController;
  readonly done: Promise<void>;
  isReleaseAsked: boolean;
}

export function createUploadLocks(options: UploadLockOptions): UploadLocks {
  const { database, clock, log, holder, isDead, onHold } = options;
  const writers = new Map<string, Writer>();
  let isDraining = false;

  const isHeld = (record: UploadRecord): boolean =>
    record.holder !== null && record.heldUntil > clock.now() && !isDead(record.holder);

  const askHere = (writer: Writer): void => {
    writer.isReleaseAsked = true;
    writer.stop.abort(locked());
  };

  /** Takes the lock if it is free, else notes that somebody waits who is not patient. */
  const take = (
    id: string,
    isPatient: boolean,
  ): Promise<{ readonly record: UploadRecord; readonly isTaken: boolean } | null> =>
    database.write(async (tx) => {
      const record = await uploadRecords.find(tx, id);
      if (!record) return null;
      const isTaken = !isHeld(record);
      const heldUntil = clock.now() + TTL_MS;
      const changes = isTaken
        ? { holder, heldUntil, fence: record.fence + 1, isReleaseAsked: false, ...(await onHold(tx, id)) }
        : { isReleaseAsked: record.isReleaseAsked || !isPatient };
      if (isTaken || changes.isReleaseAsked !== record.isReleaseAsked) await uploadRecords.update(tx, id, changes);
      return { record: { ...record, ...changes }, isTaken };
    });

  const renew = (hold: Hold): Promise<UploadRecord | null> =>
    database.write(async (tx) => {
      const changes = await onHold(tx, hold.id);
      return uploadRecords.updateHeld(tx, hold, { ...changes, heldUntil: clock.now() + TTL_MS });
    });

  /** Renews the right and looks who waits, until it is stopped. */
  const watch = (hold: Hold, writer: Writer): (() => void) => {
    let renewedAt = clock.now();
    let version = database.version();
    let isBusy = false;
    const look = async (): Promise<void> => {
      const isDue = clock.now() - renewedAt >= RENEW_MS;
      if (!isDue && version !== null && version === database.version()) return;
      version = database.version();
      const at = clock.now();
      const record = isDue ? await renew(hold) : await uploadRecords.find(database.read, hold.id);
      if (isDue && record) renewedAt = at;
      // A replica may be behind, so only a write tells that the right is lost.
      if (isDue && !record) writer.stop.abort(locked());
      if (record?.fence === hold.fence && record.isReleaseAsked) askHere(writer);
    };
    const timer = setInterval(() => {
      if (clock.now() - renewedAt >= TTL_MS - MARGIN_MS) writer.stop.abort(locked());
      if (isBusy || writer.stop.signal.aborted) return;
      isBusy = true;
      look()
        .catch((error: unknown) => log.warn({ err: error, uploadId: hold.id }, 'the lock of an upload was not renewed'))
        .finally(() => {
          isBusy = false;
        });
    }, LOOK_MS);
    return () => clearInterval(timer);
  };

  /** Runs `work` for a right that was taken, and gives it back. */
  const use = async <T>(hold: Hold, writer: Writer, work: (lock: WriteLock) => Promise<T>): Promise<T> => {
    let isEnded = false;
    const stopWatching = watch(hold, writer);
    try {
      return await work({
        ...hold,
        signal: writer.stop.signal,
        isReleaseAsked: () => writer.isReleaseAsked,
        ended: () => {
          isEnded = true;
        },
      });
    } finally {
      stopWatching();
      if (!isEnded) {
        await database
          .write((tx) => uploadRecords.updateHeld(tx, hold, { holder: null }))
          .catch((error: unknown) =>
            log.warn({ err: error, uploadId: hold.id }, 'the lock of an upload ends by itself'),
          );
      }
    }
  };

  /** Waits until no other writer of this process is at it. @returns whether that came true in time. */
  const leftHere = async (id: string, deadline: number, isPatient = false): Promise<boolean> => {
    for (let writer = writers.get(id); writer; writer = writers.get(id)) {
      if (!isPatient) askHere(writer);
      if (!(await settlesBefore(writer.done, deadline - clock.now()))) return false;
    }
    return true;
  };

  /** Runs `work` as the one writer of this process; nobody else may be at it. */
  const enter = async <T>(id: string, work: (writer: Writer) => Promise<T>): Promise<T> => {
    if (isDraining) throw serverProblems.create('draining');
    const done = Promise.withResolvers<void>();
    const writer: Writer = { stop: new AbortController(), done: done.promise, isReleaseAsked: false };
    writers.set(id, writer);
    try {
      return await work(writer);
    } finally {
      writers.delete(id);
      done.resolve();
    }
  };

  return {
    firstHold: () => ({ holder, heldUntil: clock.now() + TTL_MS, fence: 1, isReleaseAsked: false }),

    own: (id, work) => enter(id, (writer) => use({ id, fence: 1 }, writer, work)),

    async hold(id, work, { isPatient = false } = {}) {
      const deadline = clock.now() + PATIENCE_MS;
      do {
        if (!(await leftHere(id, deadline, isPatient))) throw locked();
        // Another newcomer may have waited for the same writer.
      } while (writers.has(id));
      return enter(id, async (writer) => {
        for (;;) {
          const found = await take(id, isPatient);
          if (!found) throw uploadProblems.create('not-found');
          const { record, isTaken } = found;
          if (isTaken) return use(record, writer, (lock) => work(lock, record));
          if (clock.now() >= deadline || writer.stop.signal.aborted) throw locked();
          await pause(RETRY_MS);
        }
      });
    },

    async quiet(record) {
      const deadline = clock.now() + PATIENCE_MS / 2;
      if (writers.has(record.id)) return void (await leftHere(record.id, deadline));
      if (!isHeld(record)) return;
      try {
        await database.write((tx) => uploadRecords.updateHeld(tx, record, { isReleaseAsked: true }));
      } catch (error) {
        log.warn({ err: error, uploadId: record.id }, 'the writer of an upload could not be asked to let go');
        return;
      }
      while (clock.now() < deadline) {
        await pause(RETRY_MS);
        const now = await uploadRecords.find(database.read, record.id);
        if (!now || now.fence !== record.fence || !isHeld(now)) return;
      }
    },

    async drain() {
      isDraining = true;
      for (const writer of writers.values()) askHere(writer);
      await Promise.all([...writers.values()].map(({ done }) => done));
    },
  };
}

/** The body is left unread, so the connection cannot carry another request. */
function locked() {
  return uploadProblems.create('locked', { headers: { connection: 'close' } });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function settlesBefore(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), Math.max(0, ms));
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
