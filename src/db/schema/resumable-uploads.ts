import { index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';
import { users } from './auth.ts';
import { id, timestamp } from './columns.ts';

/**
 * Uploads under way and, until they expire, those that are complete. How many bytes one has is not here: the object store says
 * so.
 */
export const resumableUploads = sqliteTable(
  'resumable_uploads',
  {
    /** Also the id of the file that it becomes. */
    id: id().primaryKey(),
    ownerId: text('owner_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    /** Names the growing object to the store. */
    handle: text('handle').notNull(),
    /** Bytes in all; null while the client has not said. */
    length: integer('length'),
    /** `Upload-Metadata` as it was sent. */
    metadata: text('metadata').notNull(),
    /** `Upload-Concat` as it was sent. */
    concatenation: text('concatenation'),
    /** Of a partial upload: the final one that its bytes went into. */
    finalId: text('final_id'),
    /** The file that it became. It may have been deleted since. */
    fileId: text('file_id'),
    createdAt: timestamp('created_at').notNull(),
    expiresAt: timestamp('expires_at').notNull(),
    /** The process that writes to it; null when none does. */
    holder: text('holder'),
    /** The holder's right ends by itself. */
    heldUntil: timestamp('held_until').notNull(),
    /** Counts up with every new holder. */
    fence: integer('fence').notNull(),
    /** Somebody waits for the holder to let go. */
    isReleaseAsked: integer('is_release_asked', { mode: 'boolean' }).notNull(),
  },
  (table) => [
    uniqueIndex('resumable_uploads_handle').on(table.handle),
    index('resumable_uploads_owner').on(table.ownerId),
    index('resumable_uploads_expiry').on(table.expiresAt),
  ],
);
