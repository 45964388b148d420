import type { Config } from '../config/load.ts';
import { openEmbeddedDatabase } from '../db/embedded.ts';
import { loadMigrations, migrate } from '../db/migrate.ts';
import { locations } from '../paths.ts';
import type { Database } from '../ports/database.ts';

/** Runs work on the main database, migrated, and closes it. The server may be running on the same file meanwhile. */
export async function withDatabase<T>(
  config: Config,
  work: (database: Database, applied: string[]) => Promise<T>,
): Promise<T> {
  const database = openEmbeddedDatabase({ name: 'main', path: locations(config).databasePath });
  try {
    return await work(database, await migrate(database, loadMigrations()));
  } finally {
    await database.close();
  }
}
