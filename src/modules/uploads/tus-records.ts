import { and, asc, eq, inArray, isNull, lte, notExists, or, sql } from 'drizzle-orm';
import { alias } from 'drizzle-orm/sqlite-core';
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

/** Expired, written to by nobody, and no part of a final upload that is not a file yet: its bytes may still be wanted. */
function isOver(queries: Queries, now: number) {
  const final = alias(resumableUploads, 'final');
  const unfinished = queries
    .select({ id: final.id })
    .from(final)
    .where(and(eq(final.id, resumableUploads.finalId), isNull(final.fileId)));
  return and(
    lte(resumableUploads.expiresAt, now),
    or(isNull(resumableUploads.holder), lte(resumableUploads.heldUntil, now)),
    notExists(unfinished),
  );
}

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

  /** The partial uploads whose bytes go into a final one. They last as long as it. */
  async consume(tx: Queries, ids: readonly string[], final: Pick<UploadRecord, 'id' | 'expiresAt'>): Promise<void> {
    await tx
      .update(resumableUploads)
      .set({ finalId: final.id, expiresAt: final.expiresAt })
      .where(inArray(resumableUploads.id, [...ids]));
  },

  /** Deletes uploads that are over. @returns what was deleted. */
  async removeExpired(tx: Queries, now: number, limit: number): Promise<UploadRecord[]> {
    const batch = tx
      .select({ id: resumableUploads.id })
      .from(resumableUploads)
      .where(isOver(tx, now))
      .orderBy(asc(resumableUploads.expiresAt))
      .limit(limit);
    return tx.delete(resumableUploads).where(inArray(resumableUploads.id, batch)).returning();
  },

  async hasExpired(queries: Queries, now: number): Promise<boolean> {
    const found = await queries
      .select({ id: resumableUploads.id })
      .from(resumableUploads)
      .where(isOver(queries, now))
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
