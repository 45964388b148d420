import { parseArgs } from 'node:util';
import { loadConfig } from '../config/load.ts';
import { type Command, CommandError, print } from './command.ts';
import { withDatabase } from './open-database.ts';

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
    if (values.database !== 'main')
      throw new CommandError('there is no database of that name; "bunkhouse db list" lists them');
    const applied = await withDatabase(loadConfig(process.env), async (_database, names) => names);
    print(values.json, { database: 'main', applied }, () =>
      applied.length === 0 ? ['main: up to date'] : applied.map((name) => `main: applied ${name}`),
    );
    return 0;
  },
};
