import { parseArgs } from 'node:util';
import { sql } from 'drizzle-orm';
import { loadConfig } from '../config/load.ts';
import { locations } from '../paths.ts';
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
    const rows = await withDatabase(config, async (database) => {
      const [version] = await database.read.values<[string]>(sql`SELECT max(name) FROM bunkhouse_migrations`);
      return [{ name: database.name, location: locations(config).databasePath, migration: version?.[0] ?? null }];
    });
    print(values.json, rows, () =>
      table(rows.map(({ name, location, migration }) => [name, location, migration ?? '-'])),
    );
    return 0;
  },
};
