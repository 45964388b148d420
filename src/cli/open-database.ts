import type { Config } from '../config/load.ts';
import { loadMigrations, migrate } from '../db/migrate.ts';
import { openDatabase } from '../db/registry.ts';
import { databaseLocations, locations } from '../paths.ts';
import type { Database } from '../ports/database.ts';
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
  const database = await openDatabase(location);
  try {
    return await work(
      database,
      name === 'main' ? await migrate(database, loadMigrations(), { snapshotDir: locations(config).snapshotDir }) : [],
    );
  } finally {
    await database.close();
  }
}
