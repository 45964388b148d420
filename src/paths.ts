import { join, resolve } from 'node:path';
import manifest from '../package.json' with { type: 'json' };
import type { Config } from './config/load.ts';
import type { DatabaseLocation } from './db/registry.ts';

/** The running version. */
export const VERSION: string = manifest.version;

/** Where the settings say that embedded things live. */
export function locations(config: Config) {
  const dataDir = resolve(config.dataDir);
  return {
    dataDir,
    /** Copies of databases from before a migration. */
    snapshotDir: join(dataDir, 'snapshots'),
    /** Where a backup copies databases to on the way. */
    backupWorkDir: join(dataDir, 'backups-work'),
  };
}

/** The databases with every path settled, `main` first. */
export function databaseLocations(config: Config): DatabaseLocation[] {
  return config.databases.map((database): DatabaseLocation => {
    if (database.kind === 'memory') return database;
    if (database.kind === 'remote') {
      const { replicaPath } = database;
      return { ...database, replicaPath: replicaPath === undefined ? undefined : resolve(replicaPath) };
    }
    const path = database.path === null ? join(config.dataDir, `${database.name}.db`) : database.path;
    return { ...database, path: resolve(path) };
  });
}
