import { ConfigError, EXIT_CONFIG } from '../config/load.ts';
import { AppError } from '../kernel/errors.ts';
import { VERSION } from '../paths.ts';
import { type Command, CommandError, table } from './command.ts';

/** Loaded when they are called, so that each command starts with no more than it needs. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.ts')).serveCommand,
  test: async () => (await import('./test.ts')).testCommand,
  migrate: async () => (await import('./migrate.ts')).migrateCommand,
  user: async () => (await import('./user.ts')).userCommand,
  backup: async () => (await import('./backup.ts')).backupCommand,
  db: async () => (await import('./db.ts')).dbCommand,
  cache: async () => (await import('./cache.ts')).cacheCommand,
  config: async () => (await import('./config.ts')).configCommand,
  doctor: async () => (await import('./doctor.ts')).doctorCommand,
  parse: async () => (await import('./parse.ts')).parseCommand,
  openapi: async () => (await import('./openapi.ts')).openapiCommand,
};

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(await overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${VERSION}\n`);
    return 0;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!load) throw new CommandError(`there is no command of that name; "bunkhouse --help" lists them`);
  const command = await load();
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(`${command.help}\n`);
    return 0;
  }
  return command.run(rest);
}

async function overview(): Promise<string> {
  const rows = await Promise.all(
    Object.entries(COMMANDS).map(async ([name, load]) => [`  ${name}`, (await load()).summary]),
  );
  return `Bunkhouse ${VERSION}\n\nUsage: bunkhouse <command> [options]\n\n${table(rows).join('\n')}\n\n"bunkhouse <command> --help" explains one.\n`;
}

try {
  const code = await main(process.argv.slice(2));
  // The server goes on running; everything else is done.
  if (code !== 0) process.exit(code);
} catch (error) {
  process.stderr.write(`bunkhouse: ${describe(error)}\n`);
  process.exit(error instanceof ConfigError ? EXIT_CONFIG : 1);
}

/** One line. Fields that are at fault say what is wrong with them: `view: Expected one of …`. */
function describe(error: unknown): string {
  if (error instanceof AppError) {
    const faults = error.faults.map(({ pointer, detail }) => [pointer.slice(1), detail].filter(Boolean).join(': '));
    return faults.length > 0 ? faults.join('; ') : error.detail;
  }
  return error instanceof Error ? error.message : 'the command failed';
}
