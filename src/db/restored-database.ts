import { isNull, sql } from 'drizzle-orm';
import { loadMigrations, migrate } from './migrate.ts';
import { type DatabaseLocation, type OpenOptions, openDatabase } from './registry.ts';
import { sessions, users } from './schema/auth.ts';
import { jobLeases } from './schema/jobs.ts';
import { fileVariants } from './schema/uploads.ts';

export interface PrepareOptions extends OpenOptions {
  /** Ends every login: all tokens of the time of the backup become worthless. */
  readonly endsSessions: boolean;
}

/**
 * Brings a main database that was restored to a side path up to date before anybody uses it. Pictures made of files are in no
 * backup, so their rows go; whoever held a lease then holds none now.
 * @param location how the main database is opened; `path` is that of the restored file.
 * @returns names of the migrations that were applied.
 */
export async function prepareRestoredDatabase(
  location: Extract<DatabaseLocation, { kind: 'file' }>,
  { endsSessions, ...options }: PrepareOptions,
): Promise<string[]> {
  const database = await openDatabase(location, options);
  try {
    const applied = await migrate(database, loadMigrations());
    await database.write(async (tx) => {
      await tx.delete(fileVariants);
      await tx.update(jobLeases).set({ holder: null });
      if (!endsSessions) return;
      await tx.update(users).set({ tokenEpoch: sql`${users.tokenEpoch} + 1` });
      await tx.update(sessions).set({ revokedAt: Date.now() }).where(isNull(sessions.revokedAt));
    });
    return applied;
  } finally {
    // The last connection moves the log into the file and removes it.
    await database.close();
  }
}
