import { parseArgs } from 'node:util';
import { describeConfig } from '../config/describe.ts';
import { loadConfig } from '../config/load.ts';
import { type Command, print, table } from './command.ts';

export const configCommand: Command = {
  summary: 'Show the settings in force, secrets masked',
  help: `Usage: bunkhouse config [--json]

Shows every setting with its value and where it comes from. Exits with 78 and lists every fault when they are not usable.`,
  async run(args) {
    const { values } = parseArgs({ args: [...args], options: { json: { type: 'boolean', default: false } } });
    const settings = describeConfig(loadConfig(process.env));
    print(values.json, settings, () =>
      table(
        settings.map(({ name, value, source, isPlanned }) => [
          name,
          value === null ? '-' : String(value),
          isPlanned ? 'no effect in this version' : source,
        ]),
      ),
    );
    return 0;
  },
};
