import { serve } from '../main.ts';
import type { Command } from './command.ts';

export const serveCommand: Command = {
  summary: 'Start the server',
  help: `Usage: bunkhouse serve

Creates DATA_DIR, migrates the database, listens and prints one URL. Settings come from the environment and from .env;
"bunkhouse config" shows them. SIGTERM or Ctrl-C lets running requests finish; a second one ends at once.
Exits with 78 when the settings are not usable.`,
  async run() {
    await serve(process.env);
    return 0;
  },
};
