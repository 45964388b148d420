import { AppError } from '../../kernel/errors.ts';
import type { EventBus } from '../../kernel/events.ts';
import { serverProblems } from '../../kernel/problems.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database } from '../../ports/database.ts';
import type { Lease, Leases } from '../../ports/leases.ts';
import type { Logger } from '../../ports/logger.ts';
import { backupProblems } from './problems.ts';
import { type BackupRecord, backupStore } from './store.ts';
import type { WorkOptions } from './work.ts';

export interface BackupQueueOptions {
  readonly database: Database;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly log: Logger;
  /** Does what a row asks for. @returns what is to be noted of it. */
  readonly perform: (backup: BackupRecord, options: WorkOptions) => Promise<Partial<BackupRecord>>;
  /** What is to be done besides, when no row asks for anything. */
  readonly upkeep: { isDue(): Promise<boolean>; run(signal: AbortSignal): Promise<void> };
  /** Told of every piece of work that ended. */
  readonly onEnd: (backup: BackupRecord, tookSeconds: number) => void;
}

const JOB = 'backups/work';
const LEASE_MS = 60_000;
const RENEW_MS = 15_000;
/** How often it looks for what other processes noted down, or left. */
const LOOK_MS = 30_000;
/** Progress is told four times a second at most and noted down once. */
const TELL_MS = 250;
const NOTE_MS = 1_000;
/** Work whose process died so often is not begun again. */
const MAX_ATTEMPTS = 3;

/**
 * Does the work on backups one after the other, of all machines on one at a time. Whoever holds the lease works; a row that is `running`
 * while nobody held it was left by a process that died, and is begun again.
 */
export function createBackupQueue(options: BackupQueueOptions) {
  const { database, leases, clock, events, log, perform, upkeep, onEnd } = options;
  const stopping = new AbortController();
  let running: Promise<void> | null = null;
  let isWanted = false;
  let look: ReturnType<typeof setInterval> | undefined;

  const wake = (): void => {
    isWanted = true;
    if (running || stopping.signal.aborted) return;
    running = drain()
      .catch((error: unknown) =>
        log.warn({ err: error }, 'the work on backups could not go on; it is tried again soon'),
      )
      .finally(() => {
        running = null;
      });
  };

  const drain = async (): Promise<void> => {
    while (isWanted && !stopping.signal.aborted) {
      isWanted = false;
      // A lease is a write; most of the time there is nothing to do.
      if ((await backupStore.next(database.read)) || (await upkeep.isDue())) await workUnderLease();
    }
  };

  const workUnderLease = async (): Promise<void> => {
    const lease = await leases.acquire(JOB, LEASE_MS);
    if (!lease) return;
    const lost = new AbortController();
    const endRenewal = keepRenewed(lease, lost);
    const signal = AbortSignal.any([stopping.signal, lost.signal]);
    try {
      while (!signal.aborted) {
        // Before every piece of work, so that nobody's keep the schedule waiting.
        if (await upkeep.isDue()) await upkeep.run(signal);
        const next = await backupStore.next(database.read);
        if (!next) break;
        if (!signal.aborted) await work(next, signal);
      }
    } finally {
      endRenewal();
      await lease.release(false);
    }
  };

  /** Aborts `lost` when the lease is not ours any more, or may not be. */
  const keepRenewed = (lease: Lease, lost: AbortController): (() => void) => {
    let heldUntil = clock.now() + LEASE_MS;
    const timer = setInterval(async () => {
      const askedAt = clock.now();
      const isHeld = await lease.renew().catch((error: unknown) => {
        log.warn({ err: error }, 'the lease on backups could not be renewed');
        return clock.now() < heldUntil;
      });
      if (!isHeld) lost.abort(new Error('another process does this work now'));
      else heldUntil = Math.max(heldUntil, askedAt + LEASE_MS);
    }, RENEW_MS);
    return () => clearInterval(timer);
  };

  const work = async (queued: BackupRecord, signal: AbortSignal): Promise<void> => {
    const attempts = queued.attempts + 1;
    let backup: BackupRecord = { ...queued, status: 'running', attempts };
    const note = async (changes: Partial<BackupRecord>): Promise<void> => {
      backup = { ...backup, ...changes };
      await database.write((tx) => backupStore.update(tx, backup.id, changes));
    };
    const startedAt = performance.now();
    await note({ status: 'running', attempts });
    tell('backups/progress', backup);
    let ended: Partial<BackupRecord>;
    try {
      if (attempts > MAX_ATTEMPTS) throw backupProblems.create('interrupted');
      const onProgress = createProgress((progress, isNoted) => {
        backup = { ...backup, progress };
        tell('backups/progress', backup);
        if (isNoted) note({ progress }).catch(() => undefined);
      });
      ended = { status: 'done', progress: 1, ...(await perform(backup, { onProgress, signal })) };
    } catch (error) {
      // The row stays as it is, for whoever takes over; an end in good order is not held against the work.
      if (signal.aborted) return note({ attempts: queued.attempts }).catch(() => undefined);
      log.error({ err: error, backupId: backup.id, operation: backup.operation }, 'work on a backup failed');
      ended = { status: 'failed', failure: describe(error, backup.scope) };
    }
    await note({ ...ended, finishedAt: clock.now() });
    const tookSeconds = (performance.now() - startedAt) / 1000;
    const { id, scope, operation, status, bytes, fileCount } = backup;
    if (status === 'done')
      log.info({ backupId: id, scope, operation, tookSeconds, bytes, fileCount }, 'backup work is done');
    onEnd(backup, tookSeconds);
    tell('backups/finished', backup);
  };

  const tell = (name: 'backups/progress' | 'backups/finished', backup: BackupRecord): void => {
    const { id, userId, scope, operation, status, progress } = backup;
    events.emit(name, { backupId: id, userId, scope, operation, status, progress });
  };

  return {
    /** Looks for work soon. Never throws. */
    wake,
    start() {
      wake();
      look = setInterval(wake, LOOK_MS);
      look.unref();
    },
    /** Ends what runs; it goes on after the next start. */
    async stop() {
      clearInterval(look);
      stopping.abort(new Error('the server stops'));
      await running;
    },
  };
}

/** Passes progress on, never backwards, and not more often than anybody needs. */
function createProgress(pass: (fraction: number, isNoted: boolean) => void): (fraction: number) => void {
  let highest = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  let notedAt = performance.now();
  return (fraction) => {
    const now = performance.now();
    highest = Math.max(highest, Math.min(fraction, 0.99));
    if (now - toldAt < TELL_MS) return;
    toldAt = now;
    const isNoted = now - notedAt >= NOTE_MS;
    if (isNoted) notedAt = now;
    pass(highest, isNoted);
  };
}

/** Details name machines, keys and other backups, which are for operators. */
function describe(error: unknown, scope: BackupRecord['scope']): { readonly code: string; readonly detail: string } {
  const { code, detail } = error instanceof AppError ? error : serverProblems.create('internal');
  const rows: Readonly<Record<string, { readonly detail: string }>> = backupProblems.rows;
  const plain =
    scope === 'user' && code !== 'backups/refused-archive' ? rows[code.replace(/^backups\//, '')] : undefined;
  return { code, detail: plain?.detail ?? detail };
}
