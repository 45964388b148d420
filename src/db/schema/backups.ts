import { index, integer, primaryKey, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { users } from './auth.ts';
import { id, timestamp } from './columns.ts';

/** BACKUP of the entity model: USER creates BACKUP. */
export const backups = sqliteTable(
  'backups',
  {
    id: id().primaryKey(),
    /** Who asked for it; null for one that the schedule made. */
    userId: text('user_id').references(() => users.id, { onDelete: 'cascade' }),
    scope: text('scope', { enum: ['user', 'system'] }).notNull(),
    status: text('status', { enum: ['queued', 'running', 'done', 'failed'] }).notNull(),
    /** 0 to 1. */
    progress: real('progress').notNull().default(0),
    note: text('note').notNull().default(''),
    createdAt: timestamp('created_at').notNull(),
    finishedAt: timestamp('finished_at'),
  },
  (table) => [index('backups_user').on(table.userId, table.id)],
);

/** BACKUP contains FILE: kept by id and hash, since a backup outlives the file. */
export const backupFiles = sqliteTable(
  'backup_files',
  {
    backupId: text('backup_id')
      .notNull()
      .references(() => backups.id, { onDelete: 'cascade' }),
    fileId: text('file_id').notNull(),
    name: text('name').notNull(),
    size: integer('size').notNull(),
    sha256: text('sha256').notNull(),
  },
  (table) => [primaryKey({ columns: [table.backupId, table.fileId] })],
);
