import { and, eq, inArray, isNull, sql } from 'drizzle-orm';
import { loadMigrations, migrate } from './migrate.ts';
import { type DatabaseLocation, type OpenOptions, openDatabase } from './registry.ts';
import { sessions, users } from './schema/auth.ts';
import { backups } from './schema/backups.ts';
import { jobLeases } from './schema/jobs.ts';
import { fileVariants } from './schema/uploads.ts';

export interface PrepareOptions extends OpenOptions {
  /** Ends every login: all tokens of the time of the backup become worthless. */
  readonly endsSessions: boolean;
  /** Id of the backup that it came from. Its own row still says there that it is being made. */
  readonly snapshot: string;
  /** Noted of work on backups that was waited for or under way then: it is never gone on with in another life. */
  readonly interruption: { readonly code: string; readonly detail: string };
}

const isActive = inArray(backups.status, ['queued', 'running']);

/**
 * Brings a main database that was restored to a side path up to date before anybody uses it. Pictures made of files are in no
 * backup, so their rows go; whoever held a lease then holds none now. Work on backups that was asked for then ends as failed: begun
 * again it might restore once more.
 * @param location how the main database is opened; `path` is that of the restored file.
 * @returns names of the migrations that were applied.
 */
export async function prepareRestoredDatabase(
  location: Extract<DatabaseLocation, { kind: 'file' }>,
  { endsSessions, snapshot, interruption, ...options }: PrepareOptions,
): Promise<string[]> {
  const database = await openDatabase(location, options);
  try {
    const applied = await migrate(database, loadMigrations());
    await database.write(async (tx) => {
      await tx.delete(fileVariants);
      await tx.update(jobLeases).set({ holder: null });
      const finishedAt = Date.now();
      await tx
        .update(backups)
        .set({ status: 'done', progress: 1, isKept: true, finishedAt })
        .where(and(eq(backups.id, snapshot), isActive));
      await tx.update(backups).set({ status: 'failed', failure: interruption, finishedAt }).where(isActive);
      await tx.update(backups).set({ isRestartRequired: false });
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
