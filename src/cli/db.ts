import { parseArgs } from 'node:util';
import { sql } from 'drizzle-orm';
import { loadConfig } from '../config/load.ts';
import { databaseLocations } from '../paths.ts';
import type { Database } from '../ports/database.ts';
import { type Command, CommandError, print, table } from './command.ts';
import { migrateCommand } from './migrate.ts';
import { withDatabase } from './open-database.ts';

export const dbCommand: Command = {
  summary: 'List and migrate the databases',
  help: `Usage: bunkhouse db list [--json]
       bunkhouse db migrate [--database NAME] [--json]`,
  async run([action, ...args]) {
    if (action === 'migrate') return migrateCommand.run(args);
    if (action !== 'list') throw new CommandError('say "db list" or "db migrate"');
    const { values } = parseArgs({ args, options: { json: { type: 'boolean', default: false } } });
    const config = loadConfig(process.env);
    const rows = await Promise.all(
      databaseLocations(config).map(async (location) => {
        const migration = await withDatabase(config, readMigration, location.name);
        const place = location.kind === 'file' ? location.path : location.kind;
        return { name: location.name, kind: location.kind, place, migration };
      }),
    );
    print(values.json, rows, () =>
      table(rows.map(({ name, kind, place, migration }) => [name, kind, place, migration ?? '-'])),
    );
    return 0;
  },
};

/** The newest migration of a database of ours; null for one that has none. */
async function readMigration(database: Database): Promise<string | null> {
  const [table] = await database.read.values(sql`SELECT 1 FROM sqlite_schema WHERE name = 'bunkhouse_migrations'`);
  if (!table) return null;
  const [row] = await database.read.values<[string]>(sql`SELECT max(name) FROM bunkhouse_migrations`);
  return row?.[0] ?? null;
}
