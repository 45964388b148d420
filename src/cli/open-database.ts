import type { Config } from '../config/load.ts';
import { claimFile } from '../db/exclusive-use.ts';
import { loadMigrations, migrate, pendingMigrations, readHistory } from '../db/migrate.ts';
import { openDatabase } from '../db/registry.ts';
import { applyPendingRestore } from '../modules/backups/pending-restore.ts';
import { databaseLocations, locations } from '../paths.ts';
import type { Database } from '../ports/database.ts';
import { CommandError } from './command.ts';
import { silentLog } from './silent-log.ts';

/**
 * Runs work on a named database as it is, and closes it. The server may be running on the same file meanwhile, as far as the engine
 * allows that.
 */
export async function withDatabase<T>(
  config: Config,
  work: (database: Database) => Promise<T>,
  name = 'main',
): Promise<T> {
  const location = databaseLocations(config).find((candidate) => candidate.name === name);
  if (!location) throw new CommandError('there is no database of that name; "bunkhouse db list" lists them');
  const swap = await applyPendingRestore({ dataDir: locations(config).dataDir, claim: claimFile, patienceMs: 0 });
  if (swap.status === 'swapped')
    process.stderr.write(`bunkhouse: the pending restore of ${swap.snapshot} was put in place\n`);
  // A replica's file belongs to the server; what is done here is done at the primary.
  const place = location.kind === 'remote' ? { ...location, replicaPath: undefined } : location;
  const database = await openDatabase(place, { log: silentLog });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

/** Applies what is pending to the main database; others have no migrations of ours. */
export async function migrateDatabase(config: Config, database: Database): Promise<string[]> {
  if (database.name !== 'main') return [];
  return migrate(database, loadMigrations(), { snapshotDir: locations(config).snapshotDir });
}

/**
 * Makes sure that the main database can be used: a new one is set up; one that a running server of another version may be
 * using is not touched.
 */
export async function requireMigrated(config: Config, database: Database): Promise<void> {
  const pending = await pendingMigrations(database, loadMigrations());
  if (pending.length === 0) return;
  if ((await readHistory(database)).length > 0) {
    throw new CommandError('the database is of an older version: run "bunkhouse migrate" first');
  }
  await migrateDatabase(config, database);
}
