import { and, asc, count, desc, eq, gt, inArray, lt, sql } from 'drizzle-orm';
import { doomedObjects, files, fileVariants } from '../../db/schema/uploads.ts';
import type { Database, Queries } from '../../ports/database.ts';
import { preparedQuery } from '../../ports/prepared.ts';

/** A file as the database has it. */
export type FileRecord = typeof files.$inferSelect;

const byId = preparedQuery((queries) =>
  queries
    .select()
    .from(files)
    .where(eq(files.id, sql.placeholder('id')))
    .limit(1)
    .prepare(),
);
const byName = preparedQuery((queries) =>
  queries
    .select()
    .from(files)
    .where(and(eq(files.ownerId, sql.placeholder('ownerId')), eq(files.name, sql.placeholder('name'))))
    .orderBy(desc(files.id))
    .limit(1)
    .prepare(),
);
const insertion = preparedQuery((queries) =>
  queries
    .insert(files)
    .values({
      id: sql.placeholder('id'),
      ownerId: sql.placeholder('ownerId'),
      name: sql.placeholder('name'),
      size: sql.placeholder('size'),
      type: sql.placeholder('type'),
      sha256: sql.placeholder('sha256'),
      visibility: sql.placeholder('visibility'),
      objectKey: sql.placeholder('objectKey'),
      thumbhash: sql.placeholder('thumbhash'),
      createdAt: sql.placeholder('createdAt'),
      updatedAt: sql.placeholder('updatedAt'),
    })
    .prepare(),
);

/** Every query of this module; reads take `database.read` or a transaction, writes a transaction. */
export const fileStore = {
  async find(queries: Queries, id: string): Promise<FileRecord | null> {
    return (await byId(queries).get({ id })) ?? null;
  },

  /** The newest of an owner's files of that name. */
  async findByName(queries: Queries, ownerId: string, name: string): Promise<FileRecord | null> {
    return (await byName(queries).get({ ownerId, name })) ?? null;
  },

  /** An owner's files, newest first, from below the id `before`. */
  async list(queries: Queries, ownerId: string, limit: number, before: string | null): Promise<FileRecord[]> {
    const isWanted = and(eq(files.ownerId, ownerId), before === null ? undefined : lt(files.id, before));
    return queries.select().from(files).where(isWanted).orderBy(desc(files.id)).limit(limit);
  },

  async countOf(queries: Queries, ownerId: string): Promise<number> {
    const row = await queries.select({ files: count() }).from(files).where(eq(files.ownerId, ownerId)).get();
    return row?.files ?? 0;
  },

  async insert(tx: Queries, record: FileRecord): Promise<void> {
    await insertion(tx).run({ ...record });
  },

  async update(tx: Queries, id: string, changes: Partial<FileRecord>): Promise<void> {
    await tx.update(files).set(changes).where(eq(files.id, id));
  },

  async remove(tx: Queries, id: string): Promise<void> {
    await tx.delete(files).where(eq(files.id, id));
  },

  /** Whether a row names the object. */
  async hasObject(queries: Queries, objectKey: string): Promise<boolean> {
    const file = await queries.select({ id: files.id }).from(files).where(eq(files.objectKey, objectKey)).get();
    if (file) return true;
    const isVariant = eq(fileVariants.objectKey, objectKey);
    return (await queries.select({ id: fileVariants.id }).from(fileVariants).where(isVariant).get()) !== undefined;
  },

  /**
   * Whether a row names the object, or may do so yet; to be asked before its bytes are deleted. A read may be behind, and a commit
   * whose answer was lost may land later: only the write lock says a "no" that stays true. Rejects when it cannot be had.
   */
  async isNamed(database: Pick<Database, 'read' | 'write'>, objectKey: string): Promise<boolean> {
    if (await fileStore.hasObject(database.read, objectKey)) return true;
    return database.write((tx) => fileStore.hasObject(tx, objectKey));
  },

  /**
   * As {@link isNamed}, or doomed: then it is the reaper's to delete, which knows who still needs it. To be asked before an object is
   * deleted that may have been a file's.
   */
  async isNamedOrDoomed(database: Pick<Database, 'read' | 'write'>, objectKey: string): Promise<boolean> {
    if (await fileStore.hasObject(database.read, objectKey)) return true;
    return database.write(async (tx) => {
      if (await fileStore.hasObject(tx, objectKey)) return true;
      return (await tx.select().from(doomedObjects).where(eq(doomedObjects.objectKey, objectKey)).get()) !== undefined;
    });
  },

  /** Objects to be deleted, by key, from above the key `after`. */
  async doomed(queries: Queries, limit: number, after: string): Promise<string[]> {
    const rows = await queries
      .select()
      .from(doomedObjects)
      .where(gt(doomedObjects.objectKey, after))
      .orderBy(asc(doomedObjects.objectKey))
      .limit(limit);
    return rows.map(({ objectKey }) => objectKey);
  },

  async forgetDoomed(tx: Queries, objectKeys: readonly string[]): Promise<void> {
    await tx.delete(doomedObjects).where(inArray(doomedObjects.objectKey, [...objectKeys]));
  },
};
