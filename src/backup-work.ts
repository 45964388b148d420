import { type RunBackupJobOptions, runBackupJob, streamBackupJob } from './backup-jobs.ts';
import { openBackupRepository } from './backup-repository.ts';
import type { BackupVerification } from './db/schema/backups.ts';
import { installationId } from './installation-id.ts';
import type { Check } from './modules/backups/check.ts';
import type { BackupWork, TakenBackup, WorkOptions } from './modules/backups/index.ts';
import type { BackupJobResult } from './modules/backups/jobs.ts';
import type { Repository } from './modules/backups/repository.ts';
import { systemClock } from './ports/clock.ts';
import type { Logger } from './ports/logger.ts';

export interface BackupWorkOptions extends Pick<RunBackupJobOptions, 'config' | 'secret' | 'leases'> {
  readonly log: Logger;
}

/** Keys of manifests end with the id of the backup. */
const ID_OF_KEY = /([0-9a-f-]{36})\.json$/;
/** Most findings of a verification that are shown; the check in the repository has all. */
const SHOWN_FINDINGS = 20;

/** The work on backups as the server has it done: what is long in processes of its own, what is short on the repository itself. */
export function backupWork({ log, ...settings }: BackupWorkOptions): BackupWork {
  const { config } = settings;
  let opening: ReturnType<typeof openBackupRepository> | null = null;
  /** Opened when it is first needed, so that a server starts while the place of its backups cannot be reached. */
  const repository = async (): Promise<Repository> => {
    opening ??= openBackupRepository(config, log, null).catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return (await opening).repository;
  };
  const on = ({ onProgress, signal }: WorkOptions) => ({
    ...settings,
    signal,
    onProgress: ({ fraction }: { readonly fraction: number }) => onProgress(fraction),
  });

  return {
    create: async (order, options) => toTaken(await runBackupJob({ kind: 'create', ...order }, on(options))),
    importArchive: async (order, options) => toTaken(await runBackupJob({ kind: 'import', ...order }, on(options))),
    archive: ({ id, files, signal }) => streamBackupJob({ kind: 'archive', id, files }, { ...settings, signal }),
    verify: async ({ id, level }, options) =>
      toVerification(await runBackupJob({ kind: 'verify', id, level }, on(options))),
    prepareRestore: async ({ id }, options) => {
      await runBackupJob({ kind: 'restore', id }, on(options));
    },
    prune: (options) => runBackupJob({ kind: 'prune' }, on(options)),
    async kept() {
      const { manifests, broken } = await (await repository()).snapshots();
      for (const fault of broken) log.error(fault, 'the manifest of a backup cannot be read');
      // Whose a user's is says its account; those of another system are not ours to restore or to show.
      const own = installationId(settings.secret.value);
      const listed = manifests.filter(({ scope, installation }) => scope === 'user' || installation === own);
      const backups = listed.map(({ id, scope, userId, note, createdAt, blobs, databases, files, origin }) => ({
        id,
        scope,
        userId,
        note,
        createdAt: Date.parse(createdAt),
        isImported: origin === 'imported',
        bytes: databases.reduce((sum, { image }) => sum + image.bytes, blobs.bytes),
        // Manifests of the first versions do not say it.
        fileCount: files ?? blobs.count,
      }));
      return { backups, broken: broken.flatMap(({ key }) => ID_OF_KEY.exec(key)?.[1] ?? []) };
    },
    async forget(ids) {
      const open = await repository();
      const { manifests } = await open.snapshots();
      for (const manifest of manifests) if (ids.includes(manifest.id)) await open.forget(manifest);
    },
  };
}

/** What was written was read back on the way, which is its first verification. */
function toTaken({ bytes, fileCount, files, damaged, tookMs }: BackupJobResult<'create'>): TakenBackup {
  const verification = { at: systemClock.now(), tookMs, kind: 'write', isGood: true, findings: [] };
  return { bytes, fileCount, files, damagedCount: damaged.length, verification };
}

function toVerification({ kind, tookMs, ok, findings }: Check): BackupVerification {
  const words = findings.slice(0, SHOWN_FINDINGS).map(({ message }) => message);
  return { at: systemClock.now(), tookMs, kind, isGood: ok, findings: words };
}
