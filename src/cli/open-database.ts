import type { Config } from '../config/load.ts';
import { loadMigrations, migrate } from '../db/migrate.ts';
import { openDatabase } from '../db/registry.ts';
import { databaseLocations, locations } from '../paths.ts';
import type { Database } from '../ports/database.ts';
import type { Logger } from '../ports/logger.ts';
import { CommandError } from './command.ts';

/**
 * Runs work on a named database, migrated, and closes it. The server may be running on the same file meanwhile, as far as the
 * engine allows that.
 */
export async function withDatabase<T>(
  config: Config,
  work: (database: Database, applied: string[]) => Promise<T>,
  name = 'main',
): Promise<T> {
  const location = databaseLocations(config).find((candidate) => candidate.name === name);
  if (!location) throw new CommandError('there is no database of that name; "bunkhouse db list" lists them');
  // A replica's file belongs to the server; what is done here is done at the primary.
  const place = location.kind === 'remote' ? { ...location, replicaPath: undefined } : location;
  const database = await openDatabase(place, { log: silentLog });
  try {
    return await work(
      database,
      name === 'main' ? await migrate(database, loadMigrations(), { snapshotDir: locations(config).snapshotDir }) : [],
    );
  } finally {
    await database.close();
  }
}

/** Commands report by their messages and exit codes. */
const silentLog: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  line() {},
  child: () => silentLog,
  flush() {},
};
