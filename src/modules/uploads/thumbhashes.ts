import type { Database } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import { isPicture } from './sniff.ts';
import { variantStore } from './variant-store.ts';
import type { Variants } from './variants.ts';

/** Makes the ThumbHashes of images after they were uploaded. Failures are logged and tried again. */
export interface Thumbhashes {
  /** Looks for images that have none yet, soon. Never throws. */
  wake(): void;
  /** Starts nothing new and waits for what runs. */
  stop(): Promise<void>;
}

const BATCH = 20;
/** Uploads of so long share a look. */
const GATHER_MS = 20;
const RETRY_MS = 30_000;

export interface ThumbhashesOptions {
  readonly database: Database;
  readonly variants: Pick<Variants, 'thumbhash'>;
  readonly log: Logger;
}

export function createThumbhashes({ database, variants, log }: ThumbhashesOptions): Thumbhashes {
  let running: Promise<void> | null = null;
  let isWanted = false;
  let isStopped = false;
  let retry: ReturnType<typeof setTimeout> | undefined;

  const retryLater = (error: unknown): void => {
    if (isStopped) return;
    log.warn({ err: error }, 'a ThumbHash could not be made yet');
    clearTimeout(retry);
    retry = setTimeout(wake, RETRY_MS);
    // A process that has nothing else to do need not wait for it.
    if (typeof retry === 'object') retry.unref();
  };

  const makeAll = async (): Promise<void> => {
    while (isWanted && !isStopped) {
      isWanted = false;
      for (let after = ''; ; ) {
        const found = await variantStore.unhashed(database.read, BATCH, after);
        for (const image of found) {
          if (isStopped) return;
          try {
            const thumbhash = isPicture(image.type) ? await variants.thumbhash(image) : '';
            await database.write((tx) => variantStore.setThumbhash(tx, image.objectKey, thumbhash));
          } catch (error) {
            retryLater(error);
          }
        }
        const last = found.at(-1);
        if (!last) break;
        after = last.id;
      }
    }
  };

  const wake = (): void => {
    isWanted = true;
    if (running || isStopped) return;
    running = new Promise((resolve) => setTimeout(resolve, GATHER_MS))
      .then(makeAll)
      .catch(retryLater)
      .finally(() => {
        running = null;
        if (isWanted) wake();
      });
  };

  return {
    wake,
    async stop() {
      isStopped = true;
      clearTimeout(retry);
      await running;
    },
  };
}
