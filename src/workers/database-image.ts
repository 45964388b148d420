/**
 * A process that does one long thing to a database file, a copy or a check, and ends. SQLite holds its thread meanwhile, so this
 * leaves the one that asked free to renew its leases, and can be killed at any moment. Ends when the channel closes.
 */
import { mapDatabaseError } from '../db/errors.ts';
import { copyDatabase, type ImageFile, inspectFile } from '../db/image-file.ts';
import { type DumpSource, loadDump } from '../db/remote-dump.ts';
import { AppError } from '../kernel/errors.ts';
import type { ImageReport } from '../ports/database-images.ts';

/** From the one who asks. */
export type ImageTask =
  | { readonly copy: ImageFile; readonly target: string }
  | { readonly load: DumpSource; readonly target: string }
  | { readonly inspect: ImageFile };

/** To it. A code is that of a `database/*` problem. */
export type ImageAnswer =
  | { readonly done: ImageReport | null }
  | { readonly failed: { readonly code: string | null; readonly reason: string } };

if (import.meta.main) {
  process.on('disconnect', () => process.exit(0));
  process.on('message', async (task: ImageTask) => {
    process.send?.(await run(task));
    process.disconnect?.();
  });
}

async function run(task: ImageTask): Promise<ImageAnswer> {
  try {
    if ('inspect' in task) return { done: await inspectFile(task.inspect) };
    if ('copy' in task) await copyDatabase(task.copy, task.target);
    else await loadDump(task.load, task.target);
    return { done: null };
  } catch (error) {
    const mapped = mapDatabaseError(error);
    return {
      failed: {
        code: mapped instanceof AppError ? mapped.code : null,
        reason: reasonOf(mapped),
      },
    };
  }
}

/** For the log. The cause says more than a problem does; one of SQL's own may repeat values and is left out. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return error instanceof AppError && error.cause instanceof Error
    ? `${error.message} (${error.cause.message})`
    : error.message;
}
