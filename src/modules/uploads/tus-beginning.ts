import { randomToken } from '../../kernel/ids.ts';
import type { Logger } from '../../ports/logger.ts';
import type { ResumableStore } from '../../ports/resumable-store.ts';
import { isRefusal } from './refusal.ts';

export interface BeginningOptions {
  readonly resumable: ResumableStore;
  readonly log: Logger;
}

/**
 * Starts the growing object of an upload, then the record that names it. A refused record leaves nothing; when it may have been
 * kept after all, the object stays for the sweep to judge.
 */
export function createBeginning({ resumable, log }: BeginningOptions) {
  return async <T>(id: string, record: (handle: string) => Promise<T>): Promise<T> => {
    const handle = await resumable.create(`files/${id}/${randomToken(12)}`);
    try {
      return await record(handle);
    } catch (error) {
      if (isRefusal(error)) {
        await resumable.abort(handle).catch((fault: unknown) => {
          log.warn({ err: fault, uploadId: id }, 'what a refused upload began stays until it is swept');
        });
      }
      throw error;
    }
  };
}
