import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sharedRun } from '../kernel/shared-run.ts';

export interface WalSync {
  /** Resolves when everything committed before the call is on the disk. Calls that wait together share one flush. */
  flush(): Promise<void>;
  /** Call it when no flush is wanted any more. */
  close(): Promise<void>;
}

/**
 * Flushes SQLite's write-ahead log off the event loop. With `synchronous=NORMAL` a commit only appends to the log
 * (https://sqlite.org/wal.html §2.3); flushing that file afterwards makes it as durable as `FULL` would. The descriptor is
 * on the log alone, whose locks live in the `-shm` file, so closing it drops no lock.
 */
export function createWalSync(path: string): WalSync {
  let handle: FileHandle | null = null;
  let latest: Promise<unknown> = Promise.resolve();
  const run = sharedRun(async () => {
    if (!handle) {
      handle = await open(path, 'r');
      await syncDirectory(dirname(path));
    }
    await handle.datasync();
  });
  const flush = (): Promise<void> => {
    const flushing = run();
    latest = flushing;
    return flushing;
  };
  return {
    flush,
    async close() {
      // The first flush may be opening the file right now.
      await latest.catch(() => undefined);
      if (!handle) return;
      await flush().catch(() => undefined);
      await handle.close();
    },
  };
}

/** SQLite creates the log without flushing the folder's entry for it; until then a power cut could take the whole file. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
