import type { BackupOrder } from '../../db/schema/backups.ts';
import type { Caller } from '../../kernel/caller.ts';
import { uuidv7 } from '../../kernel/ids.ts';
import { accessProblems, requestProblems } from '../../kernel/problems.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database, Queries } from '../../ports/database.ts';
import { createDownloads } from './downloads.ts';
import { backupProblems } from './problems.ts';
import { type BackupRecord, backupStore } from './store.ts';
import type { BackupWork } from './work.ts';

export interface BackupServiceOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly work: Pick<BackupWork, 'archive'>;
  /** The object that holds a file's content, if the caller may read the file. */
  readonly findFile: (caller: Caller, id: string) => Promise<{ readonly objectKey: string } | null>;
  /** Called when there is something to do. */
  readonly wake: () => void;
}

export type BackupService = ReturnType<typeof createBackupService>;

/** Backups that one user keeps, and that may be in progress for them at once. */
const MAX_KEPT = 20;
const MAX_ACTIVE = 2;

/** What people may ask of backups: each is noted down here and done by the queue. */
export function createBackupService({ database, clock, work, findFile, wake }: BackupServiceOptions) {
  const openDownload = createDownloads();

  /** One that the caller may use: their own, or the system's for admins. Others do not exist for a caller. */
  const getUsable = async (queries: Queries, caller: Caller, id: string): Promise<BackupRecord> => {
    const backup = await backupStore.find(queries, id);
    if (!backup || !isUsable(backup, caller)) throw backupProblems.create('not-found');
    return backup;
  };

  /** One that is kept and that nothing is being done with. */
  const getIdle = async (queries: Queries, caller: Caller, id: string): Promise<BackupRecord> => {
    const backup = await getUsable(queries, caller, id);
    if (isActive(backup)) throw backupProblems.create('in-progress');
    if (!backup.isKept) throw backupProblems.create('not-kept');
    return backup;
  };

  /** Of one that was found in the repository nothing is noted here: whether it has them is seen when it is read. */
  const mayHold = async (tx: Queries, { id, scope, fileCount }: BackupRecord, files: readonly string[]) => {
    if ((await backupStore.countFiles(tx, id, files)) === new Set(files).size) return true;
    const isNoted = fileCount === 0 || (await backupStore.files(tx, id, 1, null)).length > 0;
    return scope === 'user' && !isNoted;
  };

  const begin = async (caller: Caller, id: string, operation: 'verify' | 'restore', order: BackupOrder) => {
    const begun = await database.write(async (tx) => {
      const backup = await getIdle(tx, caller, id);
      if (order.files && !(await mayHold(tx, backup, order.files))) throw backupProblems.create('unknown-files');
      if (backup.scope === 'user') await assertFewActive(tx, backup.userId as string);
      const changes = { ...QUEUED, operation, order: { ...order, askedAt: clock.now() } };
      await backupStore.update(tx, id, changes);
      return { ...backup, ...changes };
    });
    wake();
    return begun;
  };

  const add = async (wanted: Pick<BackupRecord, 'userId' | 'scope' | 'operation' | 'order' | 'note'>) => {
    const record = { ...NEW, ...wanted, ...QUEUED, operation: wanted.operation, order: wanted.order };
    const createdAt = clock.now();
    const backup: BackupRecord = { ...record, id: uuidv7(createdAt), createdAt };
    await database.write(async (tx) => {
      await assertRoom(tx, backup);
      await backupStore.insert(tx, backup);
    });
    wake();
    return backup;
  };

  const assertRoom = async (tx: Queries, { scope, userId }: BackupRecord): Promise<void> => {
    if (scope === 'system') {
      if (await backupStore.findActive(tx, 'system', 'create')) throw backupProblems.create('in-progress');
      return;
    }
    const all = await assertFewActive(tx, userId as string);
    if (all >= MAX_KEPT) throw backupProblems.create('too-many');
  };

  /** @returns how many the user has. */
  const assertFewActive = async (tx: Queries, userId: string): Promise<number> => {
    const { all, active } = await backupStore.countOf(tx, userId);
    if (active >= MAX_ACTIVE) throw backupProblems.create('in-progress');
    return all;
  };

  return {
    /** Asks for a backup: of the system, by admins, or of the caller's own files and data. */
    create(caller: Caller, { scope, note }: { readonly scope: 'user' | 'system'; readonly note: string }) {
      if (scope === 'system' && caller.role !== 'admin') throw accessProblems.create('forbidden');
      const userId = scope === 'user' ? accountOf(caller) : caller.kind === 'user' ? caller.id : null;
      return add({ scope, userId, operation: 'create', order: {}, note });
    },

    /** Takes in an archive that the caller has uploaded as a file. */
    async import(caller: Caller, { fileId, note }: { readonly fileId: string; readonly note: string }) {
      const userId = accountOf(caller);
      const file = await findFile(caller, fileId);
      if (!file) throw backupProblems.create('no-archive');
      return add({ scope: 'user', userId, operation: 'import', order: { archive: file.objectKey }, note });
    },

    /** The caller's own, and those of the system for admins, newest first; `next` is the id to go on from. */
    async list(caller: Caller, limit: number, before: string | null) {
      const reader = { userId: caller.kind === 'user' ? caller.id : null, isAdmin: caller.role === 'admin' };
      const found = await backupStore.list(database.read, reader, limit + 1, before);
      const items = found.slice(0, limit);
      return { items, next: found.length > limit ? (items.at(-1)?.id ?? null) : null };
    },

    get: (caller: Caller, id: string) => getUsable(database.read, caller, id),

    /** The files in a user's backup, newest first. */
    async files(caller: Caller, id: string, limit: number, before: string | null) {
      await getUsable(database.read, caller, id);
      const found = await backupStore.files(database.read, id, limit + 1, before);
      const items = found.slice(0, limit);
      return { items, next: found.length > limit ? (items.at(-1)?.fileId ?? null) : null };
    },

    async verify(caller: Caller, id: string, level: 'quick' | 'full' | 'test-restore') {
      const { scope } = await getUsable(database.read, caller, id);
      if (scope === 'user' && level === 'test-restore') {
        const detail = 'Only a backup of the system can be restored for a test';
        throw requestProblems.create('invalid', { faults: [{ pointer: '/level', detail }] });
      }
      return begin(caller, id, 'verify', { level });
    },

    /** @param files ids; all when not said. A system backup is always restored whole. */
    restore: (caller: Caller, id: string, files: readonly string[] | undefined) =>
      begin(caller, id, 'restore', files ? { files } : {}),

    async remove(caller: Caller, id: string): Promise<void> {
      await database.write(async (tx) => {
        const backup = await getUsable(tx, caller, id);
        if (backup.status === 'running') throw backupProblems.create('in-progress');
        if (backup.scope === 'system' && backup.isKept) {
          const good = (await backupStore.keptOfSystem(tx)).find(({ verification }) => verification?.isGood);
          if (good?.id === id) throw backupProblems.create('last-good');
          await backupStore.doom(tx, [id]);
        }
        await backupStore.remove(tx, [id]);
      });
      wake();
    },

    /** A tar of it, and a name for the file. */
    async archive(caller: Caller, id: string) {
      const backup = await getUsable(database.read, caller, id);
      if (!backup.isKept) throw backupProblems.create('not-kept');
      const day = new Date(backup.createdAt).toISOString().slice(0, 10);
      const body = await openDownload(caller.id, () => work.archive({ id, scope: backup.scope }));
      return { name: `${backup.scope}-backup-${day}.tar`, body };
    },
  };
}

/** What is noted of work that is asked for. */
export const QUEUED = {
  status: 'queued',
  progress: 0,
  attempts: 0,
  failure: null,
  finishedAt: null,
  isRestartRequired: false,
} as const satisfies Partial<BackupRecord>;

const NEW = {
  isKept: false,
  isImported: false,
  bytes: null,
  fileCount: null,
  verification: null,
  testRestore: null,
} as const satisfies Partial<BackupRecord>;

export function isActive({ status }: Pick<BackupRecord, 'status'>): boolean {
  return status === 'queued' || status === 'running';
}

function isUsable(backup: BackupRecord, caller: Caller): boolean {
  return backup.scope === 'system' ? caller.role === 'admin' : backup.userId === caller.id;
}

function accountOf(caller: Caller): string {
  if (caller.kind !== 'user') throw accessProblems.create('user-required');
  return caller.id;
}
