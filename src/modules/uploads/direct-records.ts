import { and, asc, eq, inArray, lte } from 'drizzle-orm';
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

  /** Notes that it became a file. @returns whether it had not before. */
  async complete(tx: Queries, id: string): Promise<boolean> {
    const isWaiting = and(eq(directUploads.id, id), eq(directUploads.isComplete, false));
    const rows = await tx
      .update(directUploads)
      .set({ isComplete: true })
      .where(isWaiting)
      .returning({ id: directUploads.id });
    return rows.length > 0;
  },

  /** Forgets uploads; the objects that no file names are doomed along. */
  async remove(tx: Queries, ids: readonly string[]): Promise<void> {
    await tx.delete(directUploads).where(inArray(directUploads.id, [...ids]));
  },

  /** Those that expired before a time, the oldest first. */
  async expired(queries: Queries, beforeMs: number, limit: number): Promise<DirectRecord[]> {
    return queries
      .select()
      .from(directUploads)
      .where(lte(directUploads.expiresAt, beforeMs))
      .orderBy(asc(directUploads.expiresAt))
      .limit(limit);
  },
};
