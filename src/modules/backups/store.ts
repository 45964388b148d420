import { and, asc, count, desc, eq, inArray, lt, notInArray, or, type SQL, sql } from 'drizzle-orm';
import { users } from '../../db/schema/auth.ts';
import { backupFiles, backups, doomedBackups } from '../../db/schema/backups.ts';
import type { Queries } from '../../ports/database.ts';
import type { BackupFile, KeptBackup } from './work.ts';

/** A backup and the work on it, as the database has them. */
export type BackupRecord = typeof backups.$inferSelect;

/** Rows of one statement, well below what engines take. */
const INSERT_ROWS = 100;

const isActive = inArray(backups.status, ['queued', 'running']);

/** Every query of this module; reads take `database.read` or a transaction, writes a transaction. */
export const backupStore = {
  async find(queries: Queries, id: string): Promise<BackupRecord | null> {
    return (await queries.select().from(backups).where(eq(backups.id, id)).get()) ?? null;
  },

  /** Newest first, from below the id `before`: those of a user, for admins also those of the system. */
  async list(
    queries: Queries,
    reader: { readonly userId: string | null; readonly isAdmin: boolean },
    limit: number,
    before: string | null,
  ): Promise<BackupRecord[]> {
    const own = and(eq(backups.scope, 'user'), eq(backups.userId, reader.userId ?? ''));
    const isReadable = reader.isAdmin ? or(own, eq(backups.scope, 'system')) : own;
    return queries
      .select()
      .from(backups)
      .where(and(isReadable, before === null ? undefined : lt(backups.id, before)))
      .orderBy(desc(backups.id))
      .limit(limit);
  },

  async countOf(queries: Queries, userId: string): Promise<{ readonly all: number; readonly active: number }> {
    const isOwn = and(eq(backups.scope, 'user'), eq(backups.userId, userId));
    const countWhere = async (where: SQL | undefined) =>
      (await queries.select({ rows: count() }).from(backups).where(where).get())?.rows ?? 0;
    return { all: await countWhere(isOwn), active: await countWhere(and(isOwn, isActive)) };
  },

  /**
   * What waits for work, or was begun by a process that is gone, and is to be done next: what is the system's, then what was asked for
   * first.
   */
  async next(queries: Queries): Promise<BackupRecord | null> {
    const askedAt = sql`coalesce(json_extract(${backups.order}, '$.askedAt'), ${backups.createdAt})`;
    const found = await queries
      .select()
      .from(backups)
      .where(isActive)
      .orderBy(asc(backups.scope), asc(askedAt))
      .limit(1);
    return found[0] ?? null;
  },

  /** The newest attempt at a backup of the system that did not come to anything, if none came after it. */
  async lastFailed(queries: Queries): Promise<BackupRecord | null> {
    const isSystem = eq(backups.scope, 'system');
    const [last] = await queries.select().from(backups).where(isSystem).orderBy(desc(backups.id)).limit(1);
    return last && last.status === 'failed' && !last.isKept ? last : null;
  },

  async findActive(queries: Queries, scope: 'user' | 'system', operation: BackupRecord['operation']) {
    const where = and(isActive, eq(backups.scope, scope), eq(backups.operation, operation));
    return (await queries.select().from(backups).where(where).limit(1).get()) ?? null;
  },

  /** All of the system's that can be restored, newest first. */
  async keptOfSystem(queries: Queries): Promise<BackupRecord[]> {
    const where = and(eq(backups.scope, 'system'), eq(backups.isKept, true));
    return queries.select().from(backups).where(where).orderBy(desc(backups.createdAt));
  },

  async keptIds(queries: Queries): Promise<string[]> {
    const rows = await queries.select({ id: backups.id }).from(backups).where(eq(backups.isKept, true));
    return rows.map(({ id }) => id);
  },

  /** Backups that nobody wants any more and that the repository may still have. */
  async doomed(queries: Queries): Promise<string[]> {
    return (await queries.select().from(doomedBackups)).map(({ backupId }) => backupId);
  },

  async doom(tx: Queries, ids: readonly string[]): Promise<void> {
    await tx
      .insert(doomedBackups)
      .values(ids.map((backupId) => ({ backupId })))
      .onConflictDoNothing();
  },

  async forgetDoomed(tx: Queries, ids: readonly string[]): Promise<void> {
    await tx.delete(doomedBackups).where(inArray(doomedBackups.backupId, [...ids]));
  },

  /** Adds those that have no row. A user's whose account is gone is left out. */
  async adopt(tx: Queries, kept: readonly KeptBackup[]): Promise<void> {
    for (const { id, scope, userId, note, createdAt, bytes, fileCount, isImported } of kept) {
      const owner =
        userId === null ? null : await tx.select({ id: users.id }).from(users).where(eq(users.id, userId)).get();
      if (scope === 'user' && !owner) continue;
      await tx
        .insert(backups)
        .values({
          id,
          scope,
          userId: scope === 'user' ? userId : null,
          note,
          createdAt,
          finishedAt: createdAt,
          bytes,
          fileCount,
          isImported,
          status: 'done',
          progress: 1,
          isKept: true,
        })
        .onConflictDoUpdate({ target: backups.id, set: { isKept: true } });
      // Its row may be from a moment at which it was still being made.
      const isUnfinished = and(eq(backups.id, id), eq(backups.operation, 'create'), eq(backups.status, 'failed'));
      await tx.update(backups).set({ status: 'done', progress: 1, failure: null }).where(isUnfinished);
    }
  },

  async insert(tx: Queries, record: typeof backups.$inferInsert): Promise<void> {
    await tx.insert(backups).values(record);
  },

  async update(tx: Queries, id: string, changes: Partial<BackupRecord>): Promise<void> {
    await tx.update(backups).set(changes).where(eq(backups.id, id));
  },

  async remove(tx: Queries, ids: readonly string[]): Promise<void> {
    await tx.delete(backups).where(inArray(backups.id, [...ids]));
  },

  /** The repository does not have them any more. */
  async drop(tx: Queries, ids: readonly string[]): Promise<void> {
    const isGone = and(inArray(backups.id, [...ids]), notInArray(backups.status, ['queued', 'running']));
    // First, so that their removal dooms nothing.
    await tx
      .update(backups)
      .set({ isKept: false })
      .where(inArray(backups.id, [...ids]));
    await tx.delete(backups).where(isGone);
  },

  /** What a user's backup has in it; what was noted before is replaced. */
  async setFiles(tx: Queries, backupId: string, files: readonly BackupFile[]): Promise<void> {
    await tx.delete(backupFiles).where(eq(backupFiles.backupId, backupId));
    for (let at = 0; at < files.length; at += INSERT_ROWS) {
      await tx.insert(backupFiles).values(files.slice(at, at + INSERT_ROWS).map((file) => ({ ...file, backupId })));
    }
  },

  async files(queries: Queries, backupId: string, limit: number, after: string | null): Promise<BackupFile[]> {
    const { fileId, name, size, sha256 } = backupFiles;
    const isBelow = after === null ? undefined : lt(fileId, after);
    return queries
      .select({ fileId, name, size, sha256 })
      .from(backupFiles)
      .where(and(eq(backupFiles.backupId, backupId), isBelow))
      .orderBy(desc(fileId))
      .limit(limit);
  },

  async countFiles(queries: Queries, backupId: string, ids: readonly string[]): Promise<number> {
    const where = and(eq(backupFiles.backupId, backupId), inArray(backupFiles.fileId, [...ids]));
    return (await queries.select({ rows: count() }).from(backupFiles).where(where).get())?.rows ?? 0;
  },
};
