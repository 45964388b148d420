import { randomToken } from '../../kernel/ids.ts';
import { storageProblems } from '../../kernel/problems.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import { tapHead } from './incoming.ts';
import { uploadProblems } from './problems.ts';
import { loadSniffing, SNIFF_BYTES, type SniffType } from './sniff.ts';

/** What may be kept; 0 for no limit. */
export interface UploadLimits {
  /** Bytes of one file. */
  readonly maxFileBytes: number;
  /** Bytes of all files of one user. */
  readonly userQuotaBytes: number;
  /** Files of one user. */
  readonly userMaxFiles: number;
  /** Media types or ranges (`image/*`); none allows all. */
  readonly types: readonly string[];
}

/** Bytes that lie safe in the object store and that no row names yet. */
export interface StoredContent {
  readonly objectKey: string;
  readonly size: number;
  readonly sha256: string;
  readonly type: string;
}

/** The limits, with that of one file no larger than what the store can keep: nobody sends in vain what it must refuse. */
export function withinStore(
  limits: UploadLimits,
  { maxObjectBytes }: Pick<ObjectStore, 'maxObjectBytes'>,
): UploadLimits {
  if (maxObjectBytes === undefined) return limits;
  const maxFileBytes = limits.maxFileBytes > 0 ? Math.min(limits.maxFileBytes, maxObjectBytes) : maxObjectBytes;
  return { ...limits, maxFileBytes };
}

/** Throws when so many bytes are more than one file may have or than is left of the quota. */
export function assertFits(bytes: number, limits: UploadLimits, quotaLeft: number): void {
  if (limits.maxFileBytes > 0 && bytes > limits.maxFileBytes) throw refused('too-large');
  if (bytes > quotaLeft) throw refused('quota-exceeded');
}

/**
 * Stores a stream as the content of a file, within the file limit and `room` bytes of quota. On failure nothing remains.
 * @param isDisposable as in `ObjectStore.put`.
 */
export type TakeIn = (
  fileId: string,
  source: AsyncIterable<Uint8Array>,
  room: number,
  isDisposable?: boolean,
) => Promise<StoredContent>;

export function createIntake(store: Pick<ObjectStore, 'put'>, limits: UploadLimits): TakeIn {
  const fileLimit = limits.maxFileBytes > 0 ? limits.maxFileBytes : Number.POSITIVE_INFINITY;
  let sniffType: SniffType | null = null;
  return async (fileId, source, room, isDisposable = false) => {
    const { body, head } = tapHead(source, SNIFF_BYTES);
    // Before there is something to lose.
    sniffType ??= await loadSniffing();
    try {
      const { key, size, sha256 } = await store.put(`files/${fileId}/${randomToken(12)}`, body, {
        maxBytes: Math.min(fileLimit, room),
        isDisposable,
      });
      return { objectKey: key, size, sha256, type: await sniffType(head()) };
    } catch (error) {
      if (!storageProblems.is(error, 'too-large')) throw error;
      throw refused(fileLimit <= room ? 'too-large' : 'quota-exceeded');
    }
  };
}

/** The rest of the body stays unread, so the connection cannot carry another request. */
export function refused(name: 'too-large' | 'quota-exceeded') {
  return uploadProblems.create(name, { headers: { connection: 'close' } });
}
