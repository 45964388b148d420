import { and, eq, gt, inArray, isNull, ne, or, sql } from 'drizzle-orm';
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

/** How much is kept of one file's variants. */
export interface VariantBounds {
  readonly maxCount: number;
  /** Bytes of all of them, by the bytes of the file. */
  maxBytes(sourceBytes: number): number;
}

/** Queries about what is made from files. */
export const variantStore = {
  async find(queries: Queries, fileId: string, recipe: string): Promise<VariantRecord | null> {
    return (await byRecipe(queries).get({ fileId, recipe })) ?? null;
  },

  /**
   * Records a variant, unless another process was faster: then theirs is the answer. `null` when the content it was made from
   * is no longer the file's. Of each file the newest within the bounds are kept, this one in any case.
   */
  async insert(
    tx: Queries,
    variant: VariantRecord,
    sourceKey: string,
    { maxCount, maxBytes }: VariantBounds,
  ): Promise<VariantRecord | null> {
    const { id, fileId, recipe } = variant;
    const isSource = and(eq(files.id, fileId), eq(files.objectKey, sourceKey));
    const source = await tx.select({ size: files.size }).from(files).where(isSource).get();
    if (!source) return null;
    const existing = await variantStore.find(tx, fileId, recipe);
    if (existing) return existing;
    await tx.insert(fileVariants).values(variant);
    const fromNewest = sql`(ORDER BY ${fileVariants.id} DESC)`;
    const ranked = tx
      .select({
        id: fileVariants.id,
        place: sql<number>`row_number() OVER ${fromNewest}`.as('place'),
        bytes: sql<number>`sum(${fileVariants.size}) OVER ${fromNewest}`.as('bytes'),
      })
      .from(fileVariants)
      .where(eq(fileVariants.fileId, fileId))
      .as('ranked');
    const beyond = tx
      .select({ id: ranked.id })
      .from(ranked)
      .where(or(gt(ranked.place, maxCount), gt(ranked.bytes, maxBytes(source.size))));
    await tx.delete(fileVariants).where(and(inArray(fileVariants.id, beyond), ne(fileVariants.id, id)));
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
