import { index, integer, primaryKey, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { users } from './auth.ts';
import { id, timestamp } from './columns.ts';

/** BACKUP of the entity model: USER creates BACKUP. */
export const backups = sqliteTable(
  'backups',
  {
    id: id().primaryKey(),
    /** Who asked for it; null for one that the schedule made. A trigger clears it where one of the system outlives the account. */
    userId: text('user_id').references(() => users.id, { onDelete: 'cascade' }),
    scope: text('scope', { enum: ['user', 'system'] }).notNull(),
    /** What is, or was lately, done with it. */
    operation: text('operation', { enum: ['create', 'import', 'verify', 'restore'] })
      .notNull()
      .default('create'),
    /** How far that is. */
    status: text('status', { enum: ['queued', 'running', 'done', 'failed'] }).notNull(),
    /** 0 to 1. */
    progress: real('progress').notNull().default(0),
    note: text('note').notNull().default(''),
    /** What was asked for besides, as JSON. */
    order: text('order', { mode: 'json' }).$type<BackupOrder>().notNull().default({}),
    /** How often the work was begun; a process that dies leaves it to be begun again. */
    attempts: integer('attempts').notNull().default(0),
    /** The problem that ended the work, in words for whoever may see the backup. */
    failure: text('failure', { mode: 'json' }).$type<{ readonly code: string; readonly detail: string }>(),
    /** Whether there is something to restore from, whatever happened to later work. */
    isKept: integer('is_kept', { mode: 'boolean' }).notNull().default(false),
    /** From an archive that somebody brought along: the ids of its files mean nothing here. */
    isImported: integer('is_imported', { mode: 'boolean' }).notNull().default(false),
    /** Bytes of the files in it, and of the databases. */
    bytes: integer('bytes'),
    fileCount: integer('file_count'),
    /** What the last verification found. */
    verification: text('verification', { mode: 'json' }).$type<BackupVerification>(),
    /** What the last restore for a test found. */
    testRestore: text('test_restore', { mode: 'json' }).$type<BackupVerification>(),
    /** A system restore is prepared; the next start puts it in place. */
    isRestartRequired: integer('is_restart_required', { mode: 'boolean' }).notNull().default(false),
    createdAt: timestamp('created_at').notNull(),
    finishedAt: timestamp('finished_at'),
  },
  (table) => [index('backups_user').on(table.userId, table.id), index('backups_status').on(table.status, table.id)],
);

/** What is to be done, beyond the operation. */
export interface BackupOrder {
  /** Milliseconds since the epoch. */
  readonly askedAt?: number;
  /** Of a restore: ids of the files; all when not said. */
  readonly files?: readonly string[];
  /** Of an import: key of the object that holds the archive. */
  readonly archive?: string;
  /** Of a verification. */
  readonly level?: 'quick' | 'share' | 'full' | 'test-restore';
}

/** What a look at a backup found. */
export interface BackupVerification {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly tookMs: number;
  readonly kind: string;
  readonly isGood: boolean;
  /** In words for operators; at most a few. */
  readonly findings: readonly string[];
}

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

/**
 * Backups that nobody wants any more and that the repository may still have. Filled by a trigger in the transaction that drops the row,
 * so that neither a crash nor the end of an account can leave them behind.
 */
export const doomedBackups = sqliteTable('doomed_backups', {
  backupId: text('backup_id').primaryKey(),
});
