import { sql } from 'drizzle-orm';
import { index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';
import { users } from './auth.ts';
import { id, timestamp } from './columns.ts';

/** FILE of the entity model. A row exists only when its bytes are safe. */
export const files = sqliteTable(
  'files',
  {
    id: id().primaryKey(),
    ownerId: text('owner_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    /** What the user calls it: a label, never a path. */
    name: text('name').notNull(),
    /** Bytes. */
    size: integer('size').notNull(),
    /** Media type by the content, not by the client's claim. */
    type: text('type').notNull(),
    /** Lower-case hex. */
    sha256: text('sha256').notNull(),
    visibility: text('visibility', { enum: ['private', 'public'] })
      .notNull()
      .default('private'),
    /** Where the object store has the bytes; a replaced file gets a new one. */
    objectKey: text('object_key').notNull(),
    /** ThumbHash of an image, base64; null until it is made, empty when the content has none. */
    thumbhash: text('thumbhash'),
    createdAt: timestamp('created_at').notNull(),
    updatedAt: timestamp('updated_at').notNull(),
  },
  (table) => [
    index('files_owner').on(table.ownerId, table.id),
    index('files_owner_name').on(table.ownerId, table.name),
    uniqueIndex('files_object').on(table.objectKey),
    index('files_unhashed').on(table.id).where(sql`thumbhash IS NULL`),
  ],
);

/** How many bytes each user keeps. Kept exact by triggers on `files`. */
export const fileUsage = sqliteTable('file_usage', {
  userId: text('user_id')
    .primaryKey()
    .references(() => users.id, { onDelete: 'cascade' }),
  bytes: integer('bytes').notNull(),
});

/** Room in a user's quota that is held for bytes still to come. What has expired counts no more. */
export const quotaReservations = sqliteTable(
  'quota_reservations',
  {
    /** Named by what it is held for. */
    id: text('id').primaryKey(),
    ownerId: text('owner_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    bytes: integer('bytes').notNull(),
    /** The file whose bytes will go when these come: of several reservations one at a time may count on that. */
    replacedFileId: text('replaced_file_id'),
    expiresAt: timestamp('expires_at').notNull(),
  },
  (table) => [
    index('quota_reservations_owner').on(table.ownerId, table.expiresAt),
    index('quota_reservations_expiry').on(table.expiresAt),
  ],
);

/**
 * Objects that no row names any more and that are still to be deleted. Filled by triggers in the transaction that drops
 * the name, so that neither a crash nor a cascade can leave bytes behind.
 */
export const doomedObjects = sqliteTable('doomed_objects', {
  objectKey: text('object_key').primaryKey(),
});

/** FILE has CACHE: what was made from a file (an image size, a parse result) and may be made again. */
export const fileVariants = sqliteTable(
  'file_variants',
  {
    id: id().primaryKey(),
    fileId: text('file_id')
      .notNull()
      .references(() => files.id, { onDelete: 'cascade' }),
    /** The parameters that made it, in canonical form. */
    recipe: text('recipe').notNull(),
    objectKey: text('object_key').notNull(),
    size: integer('size').notNull(),
    type: text('type').notNull(),
    createdAt: timestamp('created_at').notNull(),
  },
  (table) => [
    uniqueIndex('file_variants_recipe').on(table.fileId, table.recipe),
    uniqueIndex('file_variants_object').on(table.objectKey),
  ],
);

/** Ways to a file's content that need no token. The link itself is signed; what it may do stands here, so it can be revoked. */
export const fileLinks = sqliteTable(
  'file_links',
  {
    id: id().primaryKey(),
    fileId: text('file_id')
      .notNull()
      .references(() => files.id, { onDelete: 'cascade' }),
    /** Null: by the type of the content, as for those who sign in. */
    disposition: text('disposition', { enum: ['inline', 'attachment'] }),
    isOnce: integer('is_once', { mode: 'boolean' }).notNull(),
    createdAt: timestamp('created_at').notNull(),
    expiresAt: timestamp('expires_at').notNull(),
    /** When a one-time link was used. */
    usedAt: timestamp('used_at'),
  },
  (table) => [index('file_links_file').on(table.fileId, table.id), index('file_links_expiry').on(table.expiresAt)],
);
