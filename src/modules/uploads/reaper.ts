import type { Database, Queries } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import { fileStore } from './store.ts';

/** Deletes objects that nothing names any more. Its failures are logged and tried again; they never reach a caller. */
export interface Reaper {
  /**
   * Ends what processes that died left half done: objects without a row go, those with a row are settled. Does it again now
   * and then, for other machines and for stores that cannot tell at once. Waits a while for the first time.
   */
  recover(): Promise<void>;
  /** Deletes doomed objects soon; a call while that runs makes it look once more. Never throws. */
  wake(): void;
  /** Starts nothing new and waits for what runs. */
  stop(): Promise<void>;
}

const BATCH = 100;
const RETRY_MS = 30_000;
/** How often it looks for what other processes doomed. */
const LOOK_MS = 60_000;
/** How often it looks for what they left half done. */
const RECOVER_MS = 15 * 60_000;
/** A store that does not answer must not keep the server from starting for longer. */
const FIRST_RECOVERY_MS = 5_000;

export interface ReaperOptions {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly log: Logger;
  /** Further leftovers in the database, deleted now and then. */
  readonly sweep: () => Promise<void>;
  /** Whether somebody, on whichever machine, still needs objects that were doomed just now. */
  readonly isHeldBack: (tx: Queries) => Promise<boolean>;
}

export function createReaper({ database, store, log, sweep, isHeldBack }: ReaperOptions): Reaper {
  let running: Promise<void> | null = null;
  let sweeping: Promise<void> | null = null;
  let isWanted = false;
  let isStopped = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let look: ReturnType<typeof setInterval> | undefined;
  let recoveries: ReturnType<typeof setInterval> | undefined;
  let isRecovering = false;

  const retryLater = (error: unknown, message: string): void => {
    log.warn({ err: error }, message);
    clearTimeout(retry);
    if (!isStopped) retry = setTimeout(wake, RETRY_MS);
    // A process that has nothing else to do need not wait for it.
    if (typeof retry === 'object') retry.unref();
  };

  const reapBatch = async (keys: readonly string[]): Promise<void> => {
    const deleted: string[] = [];
    for (const key of keys) {
      try {
        await store.delete(key);
        deleted.push(key);
      } catch (error) {
        retryLater(error, 'an object could not be deleted');
      }
    }
    if (deleted.length > 0) await database.write((tx) => fileStore.forgetDoomed(tx, deleted));
  };

  const reap = async (): Promise<void> => {
    while (isWanted && !isStopped) {
      isWanted = false;
      let after = '';
      for (;;) {
        const keys = await fileStore.doomed(database.read, BATCH, after);
        if (keys.length === 0 || isStopped) break;
        // A read sees a change before it is on the disk. Bytes go only after it is: this write is acknowledged later. Who begins to
        // hold objects back after it does not mean these.
        if (await database.write(isHeldBack)) break;
        await reapBatch(keys);
        after = keys.at(-1) as string;
      }
    }
  };

  const wake = (): void => {
    isWanted = true;
    if (running || isStopped) return;
    running = reap()
      .catch((error: unknown) => retryLater(error, 'doomed objects could not be read'))
      .finally(() => {
        running = null;
        if (isWanted) wake();
      });
  };

  const recoverOnce = async (): Promise<void> => {
    if (isRecovering) return;
    isRecovering = true;
    try {
      for await (const key of store.unsettled()) {
        if (isStopped) break;
        const isKept = await fileStore.isNamedOrDoomed(database, key);
        // A restore may have put it there, for the state that the next start puts in place.
        if (!isKept && (await database.write(isHeldBack))) continue;
        await (isKept ? store.settle(key) : store.delete(key));
        log.info({ objectKey: key, isKept }, 'an object of an earlier run was found unsettled');
      }
    } catch (error) {
      if (!isStopped) log.error({ err: error }, 'objects of an earlier run could not be recovered');
    } finally {
      isRecovering = false;
    }
  };

  return {
    wake,
    async recover() {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, FIRST_RECOVERY_MS);
      });
      await Promise.race([recoverOnce(), patience]);
      clearTimeout(timer);
      recoveries = setInterval(() => void recoverOnce(), RECOVER_MS);
      recoveries.unref();
      const lookRound = () => {
        wake();
        sweeping ??= sweep()
          .catch((error: unknown) => log.warn({ err: error }, 'leftovers of uploads could not be swept'))
          .finally(() => {
            sweeping = null;
          });
      };
      lookRound();
      look = setInterval(lookRound, LOOK_MS);
      look.unref();
    },
    async stop() {
      clearInterval(look);
      clearInterval(recoveries);
      isStopped = true;
      clearTimeout(retry);
      await Promise.all([running, sweeping]);
    },
  };
}
