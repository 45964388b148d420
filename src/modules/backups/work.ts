import type { BackupVerification, backupFiles } from '../../db/schema/backups.ts';

/** One file in a backup, as the table has it. */
export type BackupFile = Omit<typeof backupFiles.$inferSelect, 'backupId'>;

/** Hears how far work is, 0 to 1, a few times a second at most. */
export interface WorkOptions {
  readonly onProgress: (fraction: number) => void;
  readonly signal: AbortSignal;
}

/** What a backup came to have in it. */
export interface TakenBackup {
  /** Bytes of all of it, not compressed. */
  readonly bytes: number;
  readonly fileCount: number;
  /** Of a user's backup. */
  readonly files: readonly BackupFile[];
  /** Files whose content was missing or wrong already when the backup was taken. */
  readonly damagedCount: number;
  readonly verification: BackupVerification;
}

/** A backup that the repository has, for the list. */
export interface KeptBackup {
  readonly id: string;
  readonly scope: 'user' | 'system';
  readonly userId: string | null;
  readonly note: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly bytes: number;
  readonly fileCount: number;
  /** It came as an archive that somebody brought. */
  readonly isImported: boolean;
}

/**
 * The work on backups, which is done elsewhere: none of it runs on the server's event loop. Everything rejects with `backups/*` problems
 * for what operators and users can be told, and with other errors for bugs.
 */
export interface BackupWork {
  create(
    order: {
      readonly id: string;
      readonly scope: 'user' | 'system';
      readonly userId: string | null;
      readonly note: string;
    },
    options: WorkOptions,
  ): Promise<TakenBackup>;
  /** Makes a user's archive, which lies in the object store, a backup of that user's. */
  importArchive(
    order: { readonly id: string; readonly userId: string; readonly objectKey: string; readonly note: string },
    options: WorkOptions,
  ): Promise<TakenBackup>;
  verify(
    order: { readonly id: string; readonly level: 'quick' | 'share' | 'full' | 'test-restore' },
    options: WorkOptions,
  ): Promise<BackupVerification>;
  /** Makes a system backup ready to be put in place by the next start. */
  prepareRestore(order: { readonly id: string }, options: WorkOptions): Promise<void>;
  /** Forgets what the retention rules let go, and frees what nothing needs any more. @returns ids of the backups that are gone. */
  prune(options: WorkOptions): Promise<readonly string[]>;
  /** Forgets backups, whatever the rules say. Their room is freed by a later {@link prune}. Unknown ids are no error. */
  forget(ids: readonly string[]): Promise<void>;
  /** Every backup in the repository, and the ids of those whose manifests cannot be read. */
  kept(): Promise<{ readonly backups: readonly KeptBackup[]; readonly broken: readonly string[] }>;
  /**
   * A tar archive. Of a user's backup: its files and an index, readable; `files` takes only those ids. Of the system: the objects of the
   * repository as they lie there, so that the unpacked archive is a repository with this one backup.
   */
  archive(order: {
    readonly id: string;
    readonly scope: 'user' | 'system';
    readonly files?: readonly string[] | undefined;
    readonly signal?: AbortSignal | undefined;
  }): ReadableStream<Uint8Array>;
}
