import type { Check } from './check.ts';
import type { Manifest } from './manifest.ts';

/**
 * Work on backups as plain data, so that it can be done in a process of its own: every kind, its order and what comes of it.
 * {@link runBackupJob} of `src/backup-jobs.ts` runs them, the engine of `src/backup-engine.ts` does the work.
 */
export interface BackupJobs {
  create: { readonly order: CreateJob; readonly result: CreateResult };
  import: { readonly order: ImportJob; readonly result: CreateResult };
  verify: { readonly order: VerifyJob; readonly result: Check };
  restore: { readonly order: RestoreJob; readonly result: null };
  prune: { readonly order: PruneJob; readonly result: readonly string[] };
  /** Gives its bytes through the standard output of its process. */
  archive: { readonly order: ArchiveJob; readonly result: null };
}

export type BackupJobKind = keyof BackupJobs;
export type BackupJob<Kind extends BackupJobKind = BackupJobKind> = BackupJobs[Kind]['order'];
export type BackupJobResult<Kind extends BackupJobKind = BackupJobKind> = BackupJobs[Kind]['result'];

/** Takes a backup. */
export interface CreateJob {
  readonly kind: 'create';
  /** A UUIDv7; becomes the backup's. */
  readonly id: string;
  readonly scope: 'system' | 'user';
  /** Of scope `user`: whose files. Of scope `system`: who asked, if anybody. */
  readonly userId: string | null;
  readonly note: string;
}

/** Makes a backup of a user's out of an archive. */
export interface ImportJob {
  readonly kind: 'import';
  readonly id: string;
  readonly userId: string;
  readonly note: string;
  /** The archive in the object store. */
  readonly objectKey: string;
}

/** Looks whether a backup is what was written, or restores it for a test. */
export interface VerifyJob {
  readonly kind: 'verify';
  readonly id: string;
  readonly level: 'quick' | 'share' | 'full' | 'test-restore';
}

/** Makes a backup of the system ready for the next start. */
export interface RestoreJob {
  readonly kind: 'restore';
  readonly id: string;
}

/** Forgets backups by the retention rules and frees what nothing needs. Gives the ids of those that are gone. */
export interface PruneJob {
  readonly kind: 'prune';
}

/** Writes a backup as a tar. */
export interface ArchiveJob {
  readonly kind: 'archive';
  readonly id: string;
  /** Of scope `user`: only these. */
  readonly files?: readonly string[] | undefined;
}

/** How far a job is. */
export interface JobProgress {
  /** What it does now, as one word of the job's own. */
  readonly phase: string;
  /** Bytes of the phase. */
  readonly done: number;
  readonly total: number;
  /** Of the whole job, 0 to 1. Never goes back. */
  readonly fraction: number;
}

/** What a job is told besides its order. */
export interface JobOptions {
  /** At most four times a second. */
  readonly onProgress?: ((progress: JobProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a backup came to hold. */
export interface CreateResult {
  readonly id: string;
  /** Plain bytes of the databases and of all contents. */
  readonly bytes: number;
  /** Files, several of which may have the same content. */
  readonly fileCount: number;
  /** Contents that were stored by this run, and their plain bytes; all others were in the repository. */
  readonly storedBlobs: number;
  readonly storedBytes: number;
  /** Files whose content in the object store was missing or wrong before the backup was taken. */
  readonly damaged: Manifest['damaged'];
  /** Databases that have no image: those in memory. */
  readonly skippedDatabases: readonly string[];
  readonly tookMs: number;
  /** Of scope `user`: what is in it. */
  readonly files: readonly BackedUpFile[];
}

export interface BackedUpFile {
  readonly fileId: string;
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}
