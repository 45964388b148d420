import { and, desc, eq, gt, isNull, notInArray, sql } from 'drizzle-orm';
import { files, fileVariants } from '../../db/schema/uploads.ts';
import type { Queries } from '../../ports/database.ts';
import { preparedQuery } from '../../ports/prepared.ts';

/** A picture made of a file, as the database has it. */
export type VariantRecord = typeof fileVariants.$inferSelect;

export type Unhashed = Pick<typeof files.$inferSelect, 'id' | 'objectKey' | 'size' | 'type'>;

const byRecipe = preparedQuery((queries) =>
  queries
    .select()
    .from(fileVariants)
    .where(and(eq(fileVariants.fileId, sql.placeholder('fileId')), eq(fileVariants.recipe, sql.placeholder('recipe'))))
    .prepare(),
);

/** Queries about what is made from files. */
export const variantStore = {
  async find(queries: Queries, fileId: string, recipe: string): Promise<VariantRecord | null> {
    return (await byRecipe(queries).get({ fileId, recipe })) ?? null;
  },

  /**
   * Records a variant, unless another process was faster: then theirs is the answer. `null` when the content it was made from
   * is no longer the file's. Of each file the newest `maxCount` are kept.
   */
  async insert(
    tx: Queries,
    variant: VariantRecord,
    sourceKey: string,
    maxCount: number,
  ): Promise<VariantRecord | null> {
    const { fileId, recipe } = variant;
    const isSource = and(eq(files.id, fileId), eq(files.objectKey, sourceKey));
    if (!(await tx.select({ id: files.id }).from(files).where(isSource).get())) return null;
    const existing = await variantStore.find(tx, fileId, recipe);
    if (existing) return existing;
    await tx.insert(fileVariants).values(variant);
    const newest = tx
      .select({ id: fileVariants.id })
      .from(fileVariants)
      .where(eq(fileVariants.fileId, fileId))
      .orderBy(desc(fileVariants.id))
      .limit(maxCount);
    await tx.delete(fileVariants).where(and(eq(fileVariants.fileId, fileId), notInArray(fileVariants.id, newest)));
    return variant;
  },

  async remove(tx: Queries, id: string): Promise<void> {
    await tx.delete(fileVariants).where(eq(fileVariants.id, id));
  },

  /** Files whose ThumbHash nobody has looked for yet, from above the id `after`. */
  async unhashed(queries: Queries, limit: number, after: string): Promise<Unhashed[]> {
    return queries
      .select({ id: files.id, objectKey: files.objectKey, size: files.size, type: files.type })
      .from(files)
      .where(and(isNull(files.thumbhash), gt(files.id, after)))
      .orderBy(files.id)
      .limit(limit);
  },

  /** Notes the ThumbHash of a content; one that was replaced meanwhile is not touched. */
  async setThumbhash(tx: Queries, objectKey: string, thumbhash: string): Promise<void> {
    await tx.update(files).set({ thumbhash }).where(eq(files.objectKey, objectKey));
  },
};
