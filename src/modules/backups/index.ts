import type { Caller } from '../../kernel/caller.ts';
import type { HealthStatus } from '../../kernel/checks.ts';
import type { EventBus } from '../../kernel/events.ts';
import type { Metrics } from '../../kernel/metrics.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database } from '../../ports/database.ts';
import type { Leases } from '../../ports/leases.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Module } from '../../web/module.ts';
import { createPerform, type PerformOptions } from './perform.ts';
import { createBackupQueue } from './queue.ts';
import { backupRoutes } from './routes.ts';
import { cronSchedule } from './schedule.ts';
import { createBackupService } from './service.ts';
import { type BackupState, stateOf } from './state.ts';
import { backupStore } from './store.ts';
import { createUpkeep } from './upkeep.ts';
import type { BackupWork } from './work.ts';

export { backupProblems } from './problems.ts';
export type { BackupWork, TakenBackup, WorkOptions } from './work.ts';

export interface BackupsOptions {
  readonly database: Database;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly work: BackupWork;
  /** Cron expression, or `null` for never. */
  readonly schedule: string | null;
  /** Whether this process can read what backups hold. */
  readonly canTestRestore: boolean;
  readonly findFile: (caller: Caller, id: string) => Promise<{ readonly objectKey: string } | null>;
  readonly putBack: PerformOptions['putBack'];
}

const BUCKETS = [1, 10, 60, 300, 1800, 7200];
/** How often the figures are read anew besides. */
const REFRESH_MS = 60_000;

/** Backups: taking them, proving them, giving back. The work itself is done by {@link BackupsOptions.work}. */
export function createBackups(options: BackupsOptions) {
  const { database, clock, events, log, metrics } = options;
  const schedule = options.schedule === null ? null : cronSchedule(options.schedule);
  let state: BackupState = stateOf([], 0, null);
  let isStale = false;
  let refreshing: ReturnType<typeof setInterval> | undefined;

  const refresh = async (): Promise<void> => {
    const kept = await backupStore.keptOfSystem(database.read);
    state = stateOf(kept, clock.now(), await backupStore.lastFailed(database.read));
    const wasStale = isStale;
    isStale = isTooOld();
    if (isStale && !wasStale) {
      const message = 'the newest backup that is known to be good is older than twice the time between two';
      events.emit('alerts/raised', { name: 'backups/too-old', severity: 'critical', message });
    }
  };
  const refreshSoon = () =>
    void refresh().catch((error: unknown) => log.warn({ err: error }, 'the state of backups could not be read'));
  /** One that never was taken is not late: the first is due at its time. */
  const isTooOld = (): boolean => {
    const { newest, newestGood } = state;
    if (!schedule || !newest) return false;
    return clock.now() - (newestGood?.createdAt ?? 0) > 2 * schedule.periodMs(clock.now());
  };

  const runs = metrics.histogram(
    'bunkhouse_backup_duration_seconds',
    'Time that work on a backup took, by what was done and how it ended.',
    BUCKETS,
  );
  const gaugeOf = (name: string, help: string, read: (state: BackupState) => number | undefined) =>
    metrics.gauge(`bunkhouse_backup_${name}`, help, () => {
      const value = read(state);
      return value === undefined ? [] : [{ labels: {}, value }];
    });
  gaugeOf('last_taken_timestamp_seconds', 'When the newest backup of the system was taken.', ({ newest }) =>
    toSeconds(newest?.createdAt),
  );
  gaugeOf(
    'last_good_timestamp_seconds',
    'When the newest backup of the system that is known to be good was taken.',
    ({ newestGood }) => toSeconds(newestGood?.createdAt),
  );
  gaugeOf(
    'last_bytes',
    'Bytes in the newest backup of the system, not compressed.',
    ({ newest }) => newest?.bytes ?? undefined,
  );
  gaugeOf(
    'test_restore_timestamp_seconds',
    'When a backup of the system was last restored for a test.',
    ({ newestTested }) => toSeconds(newestTested?.testRestore?.at),
  );
  gaugeOf('test_restore_seconds', 'Time that the last restore for a test took.', ({ newestTested }) =>
    toSeconds(newestTested?.testRestore?.tookMs),
  );
  gaugeOf('test_restore_good', 'Whether the last restore for a test went well.', ({ newestTested }) =>
    newestTested?.testRestore ? Number(newestTested.testRestore.isGood) : undefined,
  );

  const onVanished = () => {
    const message = 'no backup is left where backups are kept: is the disk mounted, is BACKUP_URL right?';
    events.emit('alerts/raised', { name: 'backups/vanished', severity: 'critical', message });
  };
  const upkeep = createUpkeep({ ...options, schedule, onVanished });
  const queue = createBackupQueue({
    ...options,
    upkeep,
    perform: createPerform(options),
    onEnd: ({ operation, status, scope }, tookSeconds) => {
      runs.observe({ operation, status, scope }, tookSeconds);
      if (operation === 'create' && status === 'done') upkeep.onCreated();
      refreshSoon();
    },
  });
  const service = createBackupService({ ...options, wake: queue.wake });
  const subscriptions: (() => void)[] = [];

  const check = async (): Promise<HealthStatus> => {
    const { failed, newest, newestGood, newestTested } = state;
    if (failed) return { status: 'degraded', detail: 'the last backup failed' };
    if (!schedule && !newest) return { status: 'off' };
    if (isTooOld()) return { status: 'degraded', detail: 'the newest good backup is too old' };
    if (newestTested?.testRestore?.isGood === false)
      return { status: 'degraded', detail: 'the last test restore failed' };
    return newestGood ? { status: 'ok' } : { status: 'ok', detail: 'none was taken yet' };
  };

  return {
    name: 'backups',
    routes: backupRoutes(service),
    checks: [{ name: 'backups', isVital: false, run: check }],
    async start() {
      subscriptions.push(events.on('users/deleted', queue.wake));
      await refresh();
      refreshing = setInterval(refreshSoon, REFRESH_MS);
      refreshing.unref();
      queue.start();
    },
    async stop() {
      clearInterval(refreshing);
      for (const unsubscribe of subscriptions) unsubscribe();
      await queue.stop();
    },
  } satisfies Module & Record<string, unknown>;
}

function toSeconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : milliseconds / 1000;
}
