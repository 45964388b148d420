import { backupKeys, openBackupRepository } from './backup-repository.ts';
import { createRestores, withScratch } from './backup-restore.ts';
import type { Config } from './config/load.ts';
import { databaseImages } from './db/database-images.ts';
import { installationId } from './installation-id.ts';
import { toArchive } from './modules/backups/archives.ts';
import type { Check } from './modules/backups/check.ts';
import { type CreateOptions, createBackup } from './modules/backups/create.ts';
import type { BackupJob, BackupJobResult, JobOptions } from './modules/backups/jobs.ts';
import type { Manifest } from './modules/backups/manifest.ts';
import { backupProblems } from './modules/backups/problems.ts';
import { prune } from './modules/backups/sweep.ts';
import { verify } from './modules/backups/verify.ts';
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
  /** Verifies a backup, or restores it for a test. The check is kept in the repository. */
  verify(job: BackupJob<'verify'>, on: JobOptions): Promise<Check>;
  /** Makes a backup of the system ready for the next start. */
  restore(job: BackupJob<'restore'>, on: EngineJobOptions): Promise<void>;
  /** @returns ids of the backups that were forgotten. */
  prune(on: JobOptions): Promise<readonly string[]>;
  /** The bytes of a tar. @throws backups/not-found, backups/needs-key, backups/damaged */
  archive(job: BackupJob<'archive'>): Promise<ReadableStream<Uint8Array>>;
}

export async function openBackupEngine({ config, secret, log }: BackupEngineOptions): Promise<BackupEngine> {
  const { repository, store } = await openBackupRepository(config, log, backupKeys(config));
  const images = databaseImages(databaseLocations(config));
  const { objects } = await openStorage(storageLocation(config), config, log);
  const restores = createRestores({ config, repository, images, log });
  const get = async (id: string): Promise<Manifest> => {
    const manifest = await repository.find(id);
    if (!manifest) throw backupProblems.create('not-found');
    return manifest;
  };
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
          installation: installationId(secret.value),
          maxRate: config.backupMaxRate === 0 ? null : config.backupMaxRate,
        },
        on,
      ),
    async verify({ id, level }, on) {
      const manifest = await get(id);
      if (level === 'test-restore') return restores.test(manifest, on);
      return withScratch(locations(config).dataDir, (workDir) =>
        verify(manifest, { repository, store, images, clock: systemClock, workDir, level }, on),
      );
    },
    async restore({ id }, { guard, ...on }) {
      const manifest = await get(id);
      const assertProtected = async () => {
        if (!(await guard.isHeld())) throw backupProblems.create('lease-lost');
      };
      await restores.restore({ manifest }, assertProtected, on);
    },
    async prune({ signal }) {
      const { forget } = await prune({ repository, store, clock: systemClock, keep: config.backupKeep, signal });
      return forget.map(({ id }) => id);
    },
    archive: async ({ id, files }) => toArchive(repository, store, await get(id), files),
  };
}
