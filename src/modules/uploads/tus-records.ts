import { and, asc, eq, inArray, isNull, lte, or, sql } from 'drizzle-orm';
import { resumableUploads } from '../../db/schema/resumable-uploads.ts';
import type { Queries } from '../../ports/database.ts';
import { preparedQuery } from '../../ports/prepared.ts';

/** A resumable upload as the database has it. */
export type UploadRecord = typeof resumableUploads.$inferSelect;

/** Who writes to an upload, and the how-manieth writer that is. */
export interface Hold {
  readonly id: string;
  readonly fence: number;
}

const byId = preparedQuery((queries) =>
  queries
    .select()
    .from(resumableUploads)
    .where(eq(resumableUploads.id, sql.placeholder('id')))
    .prepare(),
);

const heldAs = ({ id, fence }: Hold) => and(eq(resumableUploads.id, id), eq(resumableUploads.fence, fence));

/** Every query on resumable uploads; reads take `database.read` or a transaction, writes a transaction. */
export const uploadRecords = {
  async find(queries: Queries, id: string): Promise<UploadRecord | null> {
    return (await byId(queries).get({ id })) ?? null;
  },

  async findAll(queries: Queries, ids: readonly string[]): Promise<UploadRecord[]> {
    return queries
      .select()
      .from(resumableUploads)
      .where(inArray(resumableUploads.id, [...ids]));
  },

  async insert(tx: Queries, record: UploadRecord): Promise<void> {
    await tx.insert(resumableUploads).values(record);
  },

  async update(tx: Queries, id: string, changes: Partial<UploadRecord>): Promise<void> {
    await tx.update(resumableUploads).set(changes).where(eq(resumableUploads.id, id));
  },

  /** Changes an upload for its holder. @returns it as it is now; `null` when somebody else holds it. */
  async updateHeld(tx: Queries, hold: Hold, changes: Partial<UploadRecord>): Promise<UploadRecord | null> {
    const [record] = await tx.update(resumableUploads).set(changes).where(heldAs(hold)).returning();
    return record ?? null;
  },

  /** Deletes an upload for its holder. */
  async removeHeld(tx: Queries, hold: Hold): Promise<void> {
    await tx.delete(resumableUploads).where(heldAs(hold));
  },

  /** The partial uploads whose bytes went into a final one. */
  async consume(tx: Queries, ids: readonly string[], finalId: string): Promise<void> {
    await tx
      .update(resumableUploads)
      .set({ finalId })
      .where(inArray(resumableUploads.id, [...ids]));
  },

  /** Deletes uploads that have expired and that nobody writes to. @returns what was deleted. */
  async removeExpired(tx: Queries, now: number, limit: number): Promise<UploadRecord[]> {
    const isOver = and(
      lte(resumableUploads.expiresAt, now),
      or(isNull(resumableUploads.holder), lte(resumableUploads.heldUntil, now)),
    );
    const batch = tx
      .select({ id: resumableUploads.id })
      .from(resumableUploads)
      .where(isOver)
      .orderBy(asc(resumableUploads.expiresAt))
      .limit(limit);
    return tx.delete(resumableUploads).where(inArray(resumableUploads.id, batch)).returning();
  },

  async hasExpired(queries: Queries, now: number): Promise<boolean> {
    const found = await queries
      .select({ id: resumableUploads.id })
      .from(resumableUploads)
      .where(lte(resumableUploads.expiresAt, now))
      .limit(1);
    return found.length > 0;
  },

  /** Those of the handles that a record names. */
  async named(queries: Queries, handles: readonly string[]): Promise<UploadRecord[]> {
    return queries
      .select()
      .from(resumableUploads)
      .where(inArray(resumableUploads.handle, [...handles]));
  },
};
