import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { backupLocation, openRepositoryStore } from './backup-repository.ts';
import type { Config } from './config/load.ts';
import { databaseImages } from './db/database-images.ts';
import { createKeyring } from './kernel/keys.ts';
import { toArchive } from './modules/backups/archives.ts';
import { type CreateOptions, createBackup } from './modules/backups/create.ts';
import type { BackupJob, BackupJobResult, JobOptions } from './modules/backups/jobs.ts';
import { backupProblems } from './modules/backups/problems.ts';
import { openRepository } from './modules/backups/repository.ts';
import { databaseLocations, locations, VERSION } from './paths.ts';
import { systemClock } from './ports/clock.ts';
import type { Logger } from './ports/logger.ts';
import { openStorage, storageLocation } from './storage.ts';

/** The secret of this installation, and whether it was made by us rather than set. */
export interface InstallationSecret {
  readonly value: string;
  readonly isGenerated: boolean;
}

export interface BackupEngineOptions {
  readonly config: Config;
  readonly secret: InstallationSecret;
  readonly log: Logger;
}

/** What a job may need of the process that ordered it. */
export interface EngineJobOptions extends JobOptions {
  readonly guard: CreateOptions['guard'];
}

/** All the work on backups, as the settings have it. It is long and heavy: not for the process of the server. */
export interface BackupEngine {
  create(job: BackupJob<'create' | 'import'>, on: EngineJobOptions): Promise<BackupJobResult<'create'>>;
  /** The bytes of a tar. @throws backups/not-found, backups/needs-key, backups/damaged */
  archive(job: BackupJob<'archive'>): Promise<ReadableStream<Uint8Array>>;
}

export async function openBackupEngine({ config, secret, log }: BackupEngineOptions): Promise<BackupEngine> {
  const store = await openRepositoryStore(backupLocation(config), config, log);
  const repository = await openRepository({
    store,
    clock: systemClock,
    holder: { host: hostname(), pid: process.pid },
    keys: { passphrase: config.backupPassphrase, recipient: config.backupRecipient },
  });
  const images = databaseImages(databaseLocations(config));
  const { objects } = await openStorage(storageLocation(config), config, log);
  return {
    create: (job, { guard, ...on }) =>
      createBackup(
        job,
        {
          repository,
          images,
          objects,
          clock: systemClock,
          guard,
          workDir: locations(config).backupWorkDir,
          secret,
          program: VERSION,
          installation: installationId(secret),
          maxRate: config.backupMaxRate === 0 ? null : config.backupMaxRate,
        },
        on,
      ),
    async archive({ id, files }) {
      const manifest = await repository.find(id);
      if (!manifest) throw backupProblems.create('not-found');
      return toArchive(repository, store, manifest, files);
    },
  };
}

/** Names the system that a backup is of: the same on all machines that share the secret, and of no use to guess it. */
function installationId({ value }: InstallationSecret): string {
  return createHash('sha256').update(createKeyring(value)('backup-installation')).digest('hex').slice(0, 32);
}
