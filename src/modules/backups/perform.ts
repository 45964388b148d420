import type { BackupVerification } from '../../db/schema/backups.ts';
import type { EventBus } from '../../kernel/events.ts';
import type { Database } from '../../ports/database.ts';
import type { FormerFile } from '../uploads/index.ts';
import { type ArchivedFile, readArchive } from './archive.ts';
import { backupProblems } from './problems.ts';
import { type BackupRecord, backupStore } from './store.ts';
import type { BackupWork, TakenBackup, WorkOptions } from './work.ts';

export interface PerformOptions {
  readonly database: Database;
  readonly events: EventBus;
  readonly work: BackupWork;
  /** Gives a user a file back. */
  readonly putBack: (ownerId: string, file: FormerFile, body: () => AsyncIterable<Uint8Array>) => Promise<unknown>;
}

/** Does what a row asks for. What it gives is to be noted in the row; what it throws ends the work as failed. */
export function createPerform({ database, events, work, putBack }: PerformOptions) {
  const alert = (name: string, severity: 'warning' | 'critical', message: string) =>
    events.emit('alerts/raised', { name: `backups/${name}`, severity, message });

  const keep = async (backup: BackupRecord, taken: TakenBackup): Promise<Partial<BackupRecord>> => {
    await database.write(async (tx) => {
      // The account, and the row of its own backup with it, may have gone meanwhile.
      const isGone = (await backupStore.find(tx, backup.id)) === null;
      if (isGone && backup.scope === 'user') return backupStore.doom(tx, [backup.id]);
      if (isGone) return;
      await backupStore.setFiles(tx, backup.id, taken.files);
      await backupStore.update(tx, backup.id, { isKept: true });
    });
    if (taken.damagedCount > 0) {
      alert(
        'damaged-files',
        'critical',
        `${taken.damagedCount} files had lost their content before they were backed up`,
      );
    }
    const { bytes, fileCount, verification } = taken;
    return { isKept: true, bytes, fileCount, verification };
  };

  const create = async (backup: BackupRecord, options: WorkOptions): Promise<Partial<BackupRecord>> => {
    const { id, scope, userId, note } = backup;
    // A process may have ended between writing the backup and noting that.
    const written = (await work.kept()).backups.find((kept) => kept.id === id);
    if (written) return { isKept: true, bytes: written.bytes, fileCount: written.fileCount };
    try {
      return await keep(backup, await work.create({ id, scope, userId, note }, options));
    } catch (error) {
      if (scope === 'system' && !options.signal.aborted) alert('failed', 'critical', 'a backup of the system failed');
      throw error;
    }
  };

  const takeIn = async (backup: BackupRecord, options: WorkOptions): Promise<Partial<BackupRecord>> => {
    const { id, userId, note, order } = backup;
    const taken = await work.importArchive(
      { id, userId: userId as string, objectKey: order.archive as string, note },
      options,
    );
    return { ...(await keep(backup, taken)), isImported: true };
  };

  const verify = async (backup: BackupRecord, options: WorkOptions): Promise<Partial<BackupRecord>> => {
    const { level = 'full' } = backup.order;
    const seen = await work.verify({ id: backup.id, level }, options);
    // What is damaged may be others' as well, and is for operators to mend.
    const found = backup.scope === 'user' && !seen.isGood ? { ...seen, findings: [DAMAGED] } : seen;
    const noted = level === 'test-restore' ? { testRestore: found } : { verification: found };
    if (found.isGood) return noted;
    alert('damaged', 'critical', 'a backup was found damaged; its verification says where');
    return { ...noted, status: 'failed', failure: damageOf(found) };
  };

  const restoreFiles = async (backup: BackupRecord, { onProgress, signal }: WorkOptions): Promise<void> => {
    const tar = work.archive({ id: backup.id, scope: backup.scope, files: backup.order.files, signal });
    let total = 0;
    let done = 0;
    await readArchive(
      tar,
      ({ files }) => {
        const there = new Set(files.map(({ id }) => id));
        if (backup.order.files?.some((id) => !there.has(id))) throw backupProblems.create('unknown-files');
        total = files.reduce((sum, { size }) => sum + size + 1, 0);
      },
      async (file, body) => {
        signal.throwIfAborted();
        await putBack(backup.userId as string, toFormer(file, backup.isImported), () => body);
        done += file.size + 1;
        onProgress(done / total);
      },
    );
  };

  return async (backup: BackupRecord, options: WorkOptions): Promise<Partial<BackupRecord>> => {
    switch (backup.operation) {
      case 'create':
        return create(backup, options);
      case 'import':
        return takeIn(backup, options);
      case 'verify':
        return verify(backup, options);
      case 'restore':
        if (backup.scope === 'user') {
          await restoreFiles(backup, options);
          return {};
        }
        await work.prepareRestore({ id: backup.id }, options);
        return { isRestartRequired: true };
    }
  };
}

const DAMAGED = 'Something in this backup is damaged. Tell the operator of this server, and make another one.';

function toFormer({ id, name, size, sha256, visibility }: ArchivedFile, isForeign: boolean): FormerFile {
  return { id: isForeign ? null : id, name, size, sha256, visibility };
}

function damageOf({ findings }: BackupVerification) {
  const [first = 'It is not what it was.'] = findings;
  const { code, detail } = backupProblems.create('damaged', { detail: first });
  return { code, detail };
}
