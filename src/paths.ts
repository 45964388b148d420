import { join, resolve } from 'node:path';
import manifest from '../package.json' with { type: 'json' };
import type { Config } from './config/load.ts';

/** The running version. */
export const VERSION: string = manifest.version;

/** Where the settings say that embedded things live. */
export function locations(config: Config) {
  const dataDir = resolve(config.dataDir);
  return {
    dataDir,
    /** A file, or `:memory:`. */
    databasePath: pathOfUrl(config.databaseUrl) ?? join(dataDir, 'main.db'),
    objectsDir: pathOfUrl(config.storageUrl) ?? join(dataDir, 'objects'),
  };
}

/** `file:PATH`, where PATH may be relative to the working directory. */
function pathOfUrl(url: string | undefined): string | null {
  if (url === undefined || url === ':memory:') return url ?? null;
  return resolve(url.replace(/^file:(\/\/)?/, ''));
}
