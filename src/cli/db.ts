import { parseArgs } from 'node:util';
import { loadConfig } from '../config/load.ts';
import { readHistory } from '../db/migrate.ts';
import type { DatabaseLocation } from '../db/registry.ts';
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
        const place = placeOf(location);
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
  return (await readHistory(database)).at(-1)?.[0] ?? null;
}

/** Where it is, without credentials. */
function placeOf(location: DatabaseLocation): string {
  if (location.kind === 'memory') return 'memory';
  if (location.kind === 'file') return location.path;
  const host = URL.parse(location.url)?.host ?? 'remote';
  return location.replicaPath === undefined ? host : `${host}, replica ${location.replicaPath}`;
}
