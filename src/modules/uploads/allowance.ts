import { uuidv7 } from '../../kernel/ids.ts';
import { accessProblems } from '../../kernel/problems.ts';
import { ConstraintError, type Database } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import { refused } from './intake.ts';
import type { Quota, Reservation } from './quota.ts';

/** So much may come in without a reservation: whether it fits is looked at once, when it becomes a file. */
const FREE_BYTES = 64 * 1024;
/** A stream of unknown length reserves as much again as it has had, within these bounds. */
const MIN_STEP_BYTES = 1024 * 1024;
const MAX_STEP_BYTES = 64 * 1024 * 1024;
/** A process that died holds its users' room for so long. */
const TTL_MS = 3 * 60_000;
const RENEW_MS = TTL_MS / 4;

export interface AllowanceRequest {
  readonly ownerId: string;
  /** Bytes that will come at most; `null` when nobody knows. */
  readonly declaredBytes: number | null;
  readonly replaced?: Reservation['replaced'];
}

/** The part of a user's quota that one upload may fill. */
export interface Allowance {
  /**
   * Bytes that fit. Endless for a stream of unknown length, of which {@link metered} tells when it is full, and for a small body, which is
   * looked at when it becomes a file.
   */
  readonly room: number;
  /** To be settled when the upload becomes a file; `null` when nothing is held. */
  reservationId(): string | null;
  /** The same chunks, with room reserved for each before it is handed on. Throws `uploads/quota-exceeded`. */
  metered(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** The upload is over. Gives back what is held unless that was settled. Never throws. */
  end(isSettled: boolean): Promise<void>;
}

export type OpenAllowance = (request: AllowanceRequest) => Promise<Allowance>;

/**
 * Reserves quota for uploads as they come in, so that a user's parallel uploads cannot together fill more than the quota,
 * while one alone is refused only when it really does not fit.
 */
export function createAllowances(database: Database, quota: Quota, log: Logger): OpenAllowance {
  return async ({ ownerId, declaredBytes, replaced }) => {
    const id = uuidv7();
    let heldBytes: number | null = null;
    let comeBytes = 0;
    let renewal: ReturnType<typeof setInterval> | undefined;

    const hold = async (bytes: number): Promise<number> => {
      const reservation = { id, ownerId, bytes, ttlMs: TTL_MS, replaced };
      heldBytes = await forAccount(database.write((tx) => quota.reserveUpTo(tx, reservation)));
      renewal ??= setInterval(renew, RENEW_MS);
      return heldBytes;
    };
    const renew = () => {
      database
        .write((tx) => quota.prolong(tx, id, TTL_MS))
        .catch((error: unknown) => log.warn({ err: error }, 'a reservation could not be renewed'));
    };
    const meter = async (chunkBytes: number): Promise<void> => {
      comeBytes += chunkBytes;
      if (comeBytes <= (heldBytes ?? FREE_BYTES)) return;
      const step = Math.min(Math.max(comeBytes, MIN_STEP_BYTES), MAX_STEP_BYTES);
      if ((await hold(comeBytes + step)) < comeBytes) throw refused('quota-exceeded');
    };
    const isHeld = quota.isLimited && declaredBytes !== null && declaredBytes > FREE_BYTES;

    return {
      room: isHeld ? await hold(declaredBytes) : Number.POSITIVE_INFINITY,
      reservationId: () => (heldBytes === null ? null : id),
      metered: (source) => (quota.isLimited && declaredBytes === null ? passThrough(source, meter) : source),
      async end(isSettled) {
        clearInterval(renewal);
        if (heldBytes === null || isSettled) return;
        await database
          .write((tx) => quota.release(tx, id))
          .catch((error: unknown) => log.warn({ err: error }, 'a reservation stays until it expires'));
      },
    };
  };
}

async function* passThrough(source: AsyncIterable<Uint8Array>, onChunk: (bytes: number) => Promise<void>) {
  for await (const chunk of source) {
    await onChunk(chunk.length);
    yield chunk;
  }
}

/** Runs a transaction that names an account; one that went away meanwhile is no longer signed in. */
export async function forAccount<T>(written: Promise<T>): Promise<T> {
  try {
    return await written;
  } catch (error) {
    if (error instanceof ConstraintError && error.kind === 'foreign-key') throw accessProblems.create('required');
    throw error;
  }
}
