import { and, asc, eq, gt, inArray, lte } from 'drizzle-orm';
import { directUploads } from '../../db/schema/direct-uploads.ts';
import type { Queries } from '../../ports/database.ts';

/** An upload straight to the bucket, as the database has it. */
export type DirectRecord = typeof directUploads.$inferSelect;

/** Every query on direct uploads; reads take `database.read` or a transaction, writes a transaction. */
export const directRecords = {
  async find(queries: Queries, ownerId: string, id: string): Promise<DirectRecord | null> {
    const isOwn = and(eq(directUploads.id, id), eq(directUploads.ownerId, ownerId));
    return (await queries.select().from(directUploads).where(isOwn).get()) ?? null;
  },

  async insert(tx: Queries, record: DirectRecord): Promise<void> {
    await tx.insert(directUploads).values(record);
  },

  /** Notes that nothing becomes of it any more: it is a file, or was refused. @returns whether that is new. */
  async end(tx: Queries, id: string): Promise<boolean> {
    const isWaiting = and(eq(directUploads.id, id), eq(directUploads.isOver, false));
    const rows = await tx
      .update(directUploads)
      .set({ isOver: true })
      .where(isWaiting)
      .returning({ id: directUploads.id });
    return rows.length > 0;
  },

  /** Forgets uploads; the objects that no file names are doomed along. */
  async remove(tx: Queries, ids: readonly string[]): Promise<void> {
    await tx.delete(directUploads).where(inArray(directUploads.id, [...ids]));
  },

  /** Those that expired before a time, by id, from above the id `after`. */
  async expired(queries: Queries, beforeMs: number, limit: number, after: string): Promise<DirectRecord[]> {
    return queries
      .select()
      .from(directUploads)
      .where(and(lte(directUploads.expiresAt, beforeMs), gt(directUploads.id, after)))
      .orderBy(asc(directUploads.id))
      .limit(limit);
  },

  /** Those of the ids that are known. */
  async named(queries: Queries, ids: readonly string[]): Promise<ReadonlySet<string>> {
    const isMeant = inArray(directUploads.id, [...ids]);
    const rows = await queries.select({ id: directUploads.id }).from(directUploads).where(isMeant);
    return new Set(rows.map(({ id }) => id));
  },
};
