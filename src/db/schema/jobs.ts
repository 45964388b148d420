import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { timestamp } from './columns.ts';

/** Who may run a job right now, on whichever machine. */
export const jobLeases = sqliteTable('job_leases', {
  job: text('job').primaryKey(),
  /** The process that holds it; null when nobody does. */
  holder: text('holder'),
  expiresAt: timestamp('expires_at').notNull(),
  /** Counts up with every new holder. */
  fence: integer('fence').notNull(),
  /** When the job last finished; null when it never did. */
  finishedAt: timestamp('finished_at'),
});
