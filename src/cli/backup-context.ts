import { readFileSync } from 'node:fs';
import { backupKeys, openBackupRepository } from '../backup-repository.ts';
import { createRestores, type Restores } from '../backup-restore.ts';
import { type Config, type Environment, loadConfig } from '../config/load.ts';
import { databaseImages } from '../db/database-images.ts';
import type { JobOptions } from '../modules/backups/jobs.ts';
import type { Manifest } from '../modules/backups/manifest.ts';
import type { Repository } from '../modules/backups/repository.ts';
import { databaseLocations } from '../paths.ts';
import type { DatabaseImages } from '../ports/database-images.ts';
import type { RepositoryStore } from '../ports/repository-store.ts';
import { showProgress } from './backup-progress.ts';
import { CommandError } from './command.ts';
import { silentLog } from './silent-log.ts';

/** Options that every command on a repository has. */
export const SHARED = { identity: { type: 'string' }, json: { type: 'boolean', default: false } } as const;

/** What commands on backups work with. */
export interface BackupContext {
  readonly config: Config;
  readonly repository: Repository;
  readonly store: RepositoryStore;
  readonly images: DatabaseImages;
  readonly restores: Restores;
}

/**
 * Opens the repository that `BACKUP_URL` names, with the keys that are given. The secret of the installation is not needed: what
 * is here works on a machine that has nothing but the address.
 */
export async function openBackups(env: Environment, identityFile: string | undefined): Promise<BackupContext> {
  const config = loadConfig({ ...env, NODE_ENV: 'development' });
  const keys = backupKeys(config, readIdentity(identityFile));
  const { repository, store } = await openBackupRepository(config, silentLog, keys);
  const images = databaseImages(databaseLocations(config));
  return {
    config,
    repository,
    store,
    images,
    restores: createRestores({ config, repository, images, log: silentLog }),
  };
}

function readIdentity(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new CommandError(`the identity file ${path} cannot be read`);
  }
}

/** The backup that somebody names. @throws CommandError when there is none. */
export async function findBackup(
  { repository }: Pick<BackupContext, 'repository'>,
  name: string | undefined,
): Promise<Manifest> {
  if (name === undefined)
    throw new CommandError('say which backup: its id, or latest; "bunkhouse backup list" shows them');
  const found = await repository.find(name, name === 'latest' ? 'system' : undefined);
  if (found) return found;
  const { manifests } = await repository.snapshots();
  throw new CommandError(
    manifests.length === 0
      ? `there is no backup at ${repository.place}`
      : `there is no such backup at ${repository.place}; "bunkhouse backup list" shows those that are there`,
  );
}

/** Shows progress unless JSON is wanted, and ends the work on Ctrl-C in a way that cleans up. */
export async function withProgress<T>(
  asJson: boolean,
  work: (on: JobOptions & { readonly signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const onSignal = () => stop.abort(new CommandError('interrupted; nothing was changed'));
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const progress = showProgress();
  try {
    return await work({ onProgress: asJson ? () => undefined : progress.tell, signal: stop.signal });
  } finally {
    progress.end();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}
