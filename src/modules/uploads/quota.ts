import { and, eq, gt, lte, ne, sql } from 'drizzle-orm';
import { users } from '../../db/schema/auth.ts';
import { fileUsage, quotaReservations } from '../../db/schema/uploads.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database, Queries } from '../../ports/database.ts';
import { preparedQuery } from '../../ports/prepared.ts';
import { uploadProblems } from './problems.ts';

/** Room held for bytes that are still to come. */
export interface Reservation {
  /** Names it; the id of what it is held for. Reserving under a known id changes that reservation. */
  readonly id: string;
  readonly ownerId: string;
  /** How much it holds in all, not how much more. */
  readonly bytes: number;
  /** It ends by itself after so long; reserving again prolongs it. */
  readonly ttlMs: number;
  /**
   * The file that the bytes will replace: its size counts as free, for one reservation at a time, so that many
   * replacements at once cannot all lean on the same bytes.
   */
  readonly replaced?: { readonly fileId: string; readonly size: number } | undefined;
}

/**
 * What users may keep in all: what their files have, and what is reserved for uploads under way. Everything happens in
 * transactions of the caller, so that it is exact whichever machines take part.
 */
export interface Quota {
  readonly isLimited: boolean;
  /** Bytes still free for a user, `Infinity` without a quota. The reservation `exceptId` is not counted. */
  left(queries: Queries, ownerId: string, exceptId?: string): Promise<number>;
  /** Holds all of it, or throws `uploads/quota-exceeded` and leaves what was held under this id as it was. */
  reserve(tx: Queries, reservation: Reservation): Promise<void>;
  /** Holds as much of it as there is, and says how much that is; never less than was asked for when it fits. */
  reserveUpTo(tx: Queries, reservation: Reservation): Promise<number>;
  /** Holds all of it even when that is more than there is: for bytes that nobody can keep from coming. */
  hold(tx: Queries, reservation: Omit<Reservation, 'replaced'>): Promise<void>;
  /**
   * Ends a reservation in the transaction that adds the bytes. Throws `uploads/quota-exceeded` when they do not fit, which
   * happens only to those who reserved less, or nothing (`id` null), or came after it had expired.
   */
  settle(tx: Queries, ownerId: string, addedBytes: number, id: string | null): Promise<void>;
  /** Lets a reservation live for so long from now; one that is gone stays gone. */
  prolong(tx: Queries, id: string, ttlMs: number): Promise<void>;
  /** Gives back what is held. Idempotent. */
  release(tx: Queries, id: string): Promise<void>;
  /** Deletes what has expired. */
  sweep(database: Database): Promise<void>;
}

/** What a user's files have, and what is held beside the reservation `exceptId`. */
const taken = preparedQuery((queries) => {
  const ownerId = sql.placeholder('ownerId');
  const kept = sql`SELECT ${fileUsage.bytes} FROM ${fileUsage} WHERE ${fileUsage.userId} = ${ownerId}`;
  const held = sql`SELECT sum(${quotaReservations.bytes}) FROM ${quotaReservations}
    WHERE ${quotaReservations.ownerId} = ${ownerId} AND ${quotaReservations.expiresAt} > ${sql.placeholder('now')}
      AND ${quotaReservations.id} <> ${sql.placeholder('exceptId')}`;
  return queries
    .select({ bytes: sql<number>`coalesce((${kept}), 0) + coalesce((${held}), 0)` })
    .from(users)
    .where(eq(users.id, ownerId))
    .prepare();
});

/** @param limitBytes of all files of one user; 0 for none. */
export function createQuota(limitBytes: number, clock: Clock): Quota {
  const left = async (queries: Queries, ownerId: string, exceptId = ''): Promise<number> => {
    if (limitBytes === 0) return Number.POSITIVE_INFINITY;
    const bytes = (await taken(queries).get({ ownerId, now: clock.now(), exceptId }))?.bytes ?? 0;
    return Math.max(0, limitBytes - bytes);
  };

  /** Size of the file that a reservation replaces, unless another one leans on it already. */
  const creditOf = async (tx: Queries, { id, replaced }: Reservation): Promise<number> => {
    if (!replaced) return 0;
    const other = await tx
      .select({ id: quotaReservations.id })
      .from(quotaReservations)
      .where(
        and(
          eq(quotaReservations.replacedFileId, replaced.fileId),
          gt(quotaReservations.expiresAt, clock.now()),
          ne(quotaReservations.id, id),
        ),
      )
      .get();
    return other ? 0 : replaced.size;
  };

  const keep = async (
    tx: Queries,
    id: string,
    ownerId: string,
    held: Pick<typeof quotaReservations.$inferSelect, 'bytes' | 'replacedFileId' | 'expiresAt'>,
  ): Promise<void> => {
    await tx
      .insert(quotaReservations)
      .values({ id, ownerId, ...held })
      .onConflictDoUpdate({ target: quotaReservations.id, set: held });
  };

  const reserveUpTo = async (tx: Queries, reservation: Reservation): Promise<number> => {
    if (limitBytes === 0) return reservation.bytes;
    const { id, ownerId, bytes, ttlMs, replaced } = reservation;
    const credit = await creditOf(tx, reservation);
    const granted = Math.min(bytes, (await left(tx, ownerId, id)) + credit);
    const held = {
      bytes: Math.max(0, granted - credit),
      replacedFileId: credit > 0 && replaced ? replaced.fileId : null,
      expiresAt: clock.now() + ttlMs,
    };
    await keep(tx, id, ownerId, held);
    return granted;
  };

  return {
    isLimited: limitBytes > 0,
    left,
    reserveUpTo,
    async reserve(tx, reservation) {
      const granted = await reserveUpTo(tx, reservation);
      // The throw undoes it together with the rest of the transaction.
      if (granted < reservation.bytes) throw uploadProblems.create('quota-exceeded');
    },
    async hold(tx, { id, ownerId, bytes, ttlMs }) {
      if (limitBytes === 0) return;
      await keep(tx, id, ownerId, { bytes, replacedFileId: null, expiresAt: clock.now() + ttlMs });
    },
    async settle(tx, ownerId, addedBytes, id) {
      if (limitBytes === 0) return;
      if (addedBytes > (await left(tx, ownerId, id ?? ''))) throw uploadProblems.create('quota-exceeded');
      if (id !== null) await tx.delete(quotaReservations).where(eq(quotaReservations.id, id));
    },
    async prolong(tx, id, ttlMs) {
      const expiresAt = clock.now() + ttlMs;
      await tx.update(quotaReservations).set({ expiresAt }).where(eq(quotaReservations.id, id));
    },
    async release(tx, id) {
      if (limitBytes > 0) await tx.delete(quotaReservations).where(eq(quotaReservations.id, id));
    },
    async sweep(database) {
      const isOver = lte(quotaReservations.expiresAt, clock.now());
      // A write, even of nothing, would make every process read again what it remembers.
      const found = await database.read
        .select({ id: quotaReservations.id })
        .from(quotaReservations)
        .where(isOver)
        .get();
      if (found) await database.write((tx) => tx.delete(quotaReservations).where(isOver));
    },
  };
}
