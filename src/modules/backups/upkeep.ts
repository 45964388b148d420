import { uuidv7 } from '../../kernel/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database, Queries } from '../../ports/database.ts';
import type { Leases } from '../../ports/leases.ts';
import type { Logger } from '../../ports/logger.ts';
import { everyDays, type Schedule } from './schedule.ts';
import { isActive, QUEUED } from './service.ts';
import { backupStore } from './store.ts';
import type { BackupWork } from './work.ts';

export interface UpkeepOptions {
  readonly database: Database;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Logger;
  readonly work: Pick<BackupWork, 'forget' | 'kept' | 'prune'>;
  /** When the system is backed up; `null` for never, and then nothing is verified unasked. */
  readonly schedule: Schedule | null;
  /** Whether this process can read what backups hold, and so restore one for a test. */
  readonly canTestRestore: boolean;
  /** Told when no backup is left of those there should be: a disk that is not mounted, an address that was changed. */
  readonly onVanished: () => void;
}

/** How often the list is compared with the repository, which others may have changed. */
const RECONCILE_MS = 15 * 60_000;
const AHEAD_MS = 60 * 60_000;

/** Runs of a schedule that were noted down, whichever machine did. */
interface Chore {
  readonly job: string;
  readonly schedule: Schedule;
  /** Notes down what is to be done. `false` when it cannot be now. */
  begin(tx: Queries): Promise<boolean>;
  /** Whether it could be noted down now. */
  isPossible(): Promise<boolean>;
}

/**
 * What keeps backups coming and in order without anybody asking: the schedule, verifications, retention, and the list of backups being
 * what the repository has.
 */
export function createUpkeep({
  database,
  leases,
  clock,
  log,
  work,
  schedule,
  canTestRestore,
  onVanished,
}: UpkeepOptions) {
  let reconciledAt = Number.NEGATIVE_INFINITY;
  let wantsPrune = false;
  /** When each chore was last done, as far as this process knows. */
  const doneAt = new Map<string, number>();

  /** The newest backup of the system, unless something is being done with it. */
  const findIdle = async (queries: Queries) => {
    const [newest] = await backupStore.keptOfSystem(queries);
    return newest && !isActive(newest) ? newest : null;
  };

  const look = (level: 'share' | 'test-restore') => ({
    isPossible: async () => (await findIdle(database.read)) !== null,
    async begin(tx: Queries) {
      const newest = await findIdle(tx);
      if (newest) await backupStore.update(tx, newest.id, { ...QUEUED, operation: 'verify', order: { level } });
      return newest !== null;
    },
  });

  const take = {
    isPossible: async () => true,
    async begin(tx: Queries) {
      if (await backupStore.findActive(tx, 'system', 'create')) return true;
      const createdAt = clock.now();
      const scheduled = { scope: 'system', status: 'queued', note: 'scheduled' } as const;
      await backupStore.insert(tx, { id: uuidv7(createdAt), ...scheduled, createdAt });
      return true;
    },
  };

  const chores: readonly Chore[] = schedule
    ? [
        { job: 'backups/schedule', schedule, ...take },
        { job: 'backups/share', schedule: everyDays(1), ...look('share') },
        ...(canTestRestore ? [{ job: 'backups/test-restore', schedule: everyDays(7), ...look('test-restore') }] : []),
      ]
    : [];

  /** Noted down by a clock that was wrong. */
  const isAhead = (at: number): boolean => at > clock.now() + AHEAD_MS;

  const dueAt = ({ job, schedule }: Chore): number | null => {
    const due = schedule.previous(clock.now());
    const done = doneAt.get(job) ?? Number.NEGATIVE_INFINITY;
    return due !== null && (done < due || isAhead(done)) ? due : null;
  };

  /** Whoever gets the lease notes the work down, once for each time that it was due. Runs that nobody was there for are one. */
  const attend = async (chore: Chore): Promise<void> => {
    const due = dueAt(chore);
    if (due === null || !(await chore.isPossible())) return;
    const lease = await leases.acquire(chore.job, 60_000);
    if (!lease) return;
    const { lastFinishedAt } = lease;
    // A new installation waits for its first time; there was nothing to do before.
    const isDue = lastFinishedAt !== null && (lastFinishedAt < due || isAhead(lastFinishedAt));
    let isDone = lastFinishedAt === null;
    try {
      if (isDue) isDone = await database.write((tx) => chore.begin(tx));
    } finally {
      await lease.release(isDone);
    }
    if (isDone) doneAt.set(chore.job, clock.now());
    else if (!isDue) doneAt.set(chore.job, lastFinishedAt as number);
  };

  const reap = async (): Promise<void> => {
    const doomed = await backupStore.doomed(database.read);
    if (doomed.length === 0) return;
    await work.forget(doomed);
    await database.write((tx) => backupStore.forgetDoomed(tx, doomed));
    wantsPrune = true;
  };

  /** The repository is right: what it has is listed, what it has no more is not. */
  const reconcile = async (): Promise<void> => {
    const before = await backupStore.keptIds(database.read);
    const { backups: kept, broken } = await work.kept();
    if (kept.length === 0 && before.length > 0) {
      onVanished();
      throw new Error('there is no backup where backups are kept, though there should be some');
    }
    const isThere = new Set([...kept.map(({ id }) => id), ...broken]);
    await database.write(async (tx) => {
      const doomed = new Set(await backupStore.doomed(tx));
      await backupStore.adopt(
        tx,
        kept.filter(({ id }) => !doomed.has(id)),
      );
      const gone = before.filter((id) => !isThere.has(id));
      if (gone.length > 0) await backupStore.drop(tx, gone);
    });
    reconciledAt = clock.now();
  };

  const prune = async (signal: AbortSignal): Promise<void> => {
    const gone = await work.prune({ signal, onProgress: () => undefined });
    wantsPrune = false;
    if (gone.length > 0) await database.write((tx) => backupStore.drop(tx, gone));
  };

  const attempt = async (name: string, run: () => Promise<void>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      log.warn({ err: error, task: name }, 'upkeep of backups failed and is tried again');
    }
  };

  return {
    async isDue(): Promise<boolean> {
      if (wantsPrune || clock.now() - reconciledAt >= RECONCILE_MS) return true;
      for (const chore of chores) if (dueAt(chore) !== null && (await chore.isPossible())) return true;
      return (await backupStore.doomed(database.read)).length > 0;
    },
    async run(signal: AbortSignal): Promise<void> {
      const tasks: readonly [string, () => Promise<void>][] = [
        ['forgetting', reap],
        ['list', async () => void (clock.now() - reconciledAt >= RECONCILE_MS && (await reconcile()))],
        ['retention', async () => void (wantsPrune && (await prune(signal)))],
        ...chores.map((chore) => [chore.job, () => attend(chore)] as [string, () => Promise<void>]),
      ];
      for (const [name, run] of tasks) {
        if (signal.aborted) return;
        await attempt(name, run);
      }
    },
    /** A backup was made: older ones may go. */
    onCreated(): void {
      wantsPrune = true;
    },
  };
}
