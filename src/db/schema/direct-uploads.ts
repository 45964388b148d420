import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { users } from './auth.ts';
import { id, timestamp } from './columns.ts';

/**
 * Uploads that go straight to the bucket. A trigger dooms the object of a row that goes, unless a file has taken the object over
 * by then. The row stays until its URLs have expired, so that what is sent too late goes as well.
 */
export const directUploads = sqliteTable(
  'direct_uploads',
  {
    /** Becomes the file's id. */
    id: id().primaryKey(),
    ownerId: text('owner_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    name: text('name').notNull(),
    /** Bytes, as announced. */
    size: integer('size').notNull(),
    /** Lower-case hex, when it was announced. */
    sha256: text('sha256'),
    visibility: text('visibility', { enum: ['private', 'public'] }).notNull(),
    /** Where the client puts the bytes. */
    objectKey: text('object_key').notNull(),
    /** The store's id of an upload in parts; null when it is sent in one piece. */
    partsId: text('parts_id'),
    /** How many parts there are; 0 when it is sent in one piece. */
    partCount: integer('part_count').notNull(),
    /** Whether nothing becomes of it any more: it is a file, or was refused. */
    isOver: integer('is_complete', { mode: 'boolean' }).notNull(),
    createdAt: timestamp('created_at').notNull(),
    expiresAt: timestamp('expires_at').notNull(),
  },
  (table) => [index('direct_uploads_owner').on(table.ownerId), index('direct_uploads_expiry').on(table.expiresAt)],
);
