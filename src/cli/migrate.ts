import { parseArgs } from 'node:util';
import { loadConfig } from '../config/load.ts';
import { type Command, print } from './command.ts';
import { migrateDatabase, withDatabase } from './open-database.ts';

export const migrateCommand: Command = {
  summary: 'Apply pending migrations',
  help: `Usage: bunkhouse migrate [--database NAME] [--json]

Brings the database to the form this version needs; "serve" does the same at its start. Stops with an error, and
changes nothing, when an applied migration was edited or one is out of order.`,
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: { database: { type: 'string', default: 'main' }, json: { type: 'boolean', default: false } },
    });
    const { database } = values;
    const config = loadConfig(process.env);
    const applied = await withDatabase(config, (opened) => migrateDatabase(config, opened), database);
    print(values.json, { database, applied }, () =>
      applied.length === 0 ? [`${database}: up to date`] : applied.map((name) => `${database}: applied ${name}`),
    );
    return 0;
  },
};
