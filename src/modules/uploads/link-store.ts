import { and, count, desc, eq, gt, isNull, lt } from 'drizzle-orm';
import { fileLinks } from '../../db/schema/uploads.ts';
import type { Queries } from '../../ports/database.ts';

/** A link to a file's content, as the database has it. */
export type LinkRecord = typeof fileLinks.$inferSelect;

/** Queries about links; reads take `database.read` or a transaction, writes a transaction. */
export const linkStore = {
  async find(queries: Queries, id: string): Promise<LinkRecord | null> {
    return (await queries.select().from(fileLinks).where(eq(fileLinks.id, id)).get()) ?? null;
  },

  /** A file's links, newest first, from below the id `before`. */
  async list(queries: Queries, fileId: string, limit: number, before: string | null): Promise<LinkRecord[]> {
    const isWanted = and(eq(fileLinks.fileId, fileId), before === null ? undefined : lt(fileLinks.id, before));
    return queries.select().from(fileLinks).where(isWanted).orderBy(desc(fileLinks.id)).limit(limit);
  },

  async countOf(queries: Queries, fileId: string): Promise<number> {
    const row = await queries.select({ links: count() }).from(fileLinks).where(eq(fileLinks.fileId, fileId)).get();
    return row?.links ?? 0;
  },

  async insert(tx: Queries, link: LinkRecord): Promise<void> {
    await tx.insert(fileLinks).values(link);
  },

  /** Whether there was such a link. */
  async remove(tx: Queries, fileId: string, id: string): Promise<boolean> {
    const isMeant = and(eq(fileLinks.fileId, fileId), eq(fileLinks.id, id));
    return (await tx.delete(fileLinks).where(isMeant).returning({ id: fileLinks.id })).length > 0;
  },

  /** Uses up a one-time link. Of all who try, one is told `true`. */
  async use(tx: Queries, id: string, now: number): Promise<boolean> {
    const isUnused = and(eq(fileLinks.id, id), isNull(fileLinks.usedAt), gt(fileLinks.expiresAt, now));
    return (await tx.update(fileLinks).set({ usedAt: now }).where(isUnused).returning({ id: fileLinks.id })).length > 0;
  },

  async giveBack(tx: Queries, id: string): Promise<void> {
    await tx.update(fileLinks).set({ usedAt: null }).where(eq(fileLinks.id, id));
  },

  async hasExpired(queries: Queries, before: number): Promise<boolean> {
    const isOver = lt(fileLinks.expiresAt, before);
    return (await queries.select({ id: fileLinks.id }).from(fileLinks).where(isOver).limit(1)).length > 0;
  },

  async removeExpired(tx: Queries, before: number): Promise<void> {
    await tx.delete(fileLinks).where(lt(fileLinks.expiresAt, before));
  },
};
