import { join } from 'node:path';
import type { InstallationSecret } from './backup-engine.ts';
import type { Config } from './config/load.ts';
import { type JobFailure, runJobProcess, streamJobProcess } from './drivers/job-process.ts';
import { AppError, type ProblemRow } from './kernel/errors.ts';
import { type CreationLeaseTimes, holdCreationLease } from './modules/backups/creation-lease.ts';
import type { BackupJob, BackupJobResult, JobOptions, JobProgress } from './modules/backups/jobs.ts';
import type { Leases } from './ports/leases.ts';
import { problemTables } from './problem-tables.ts';

/** While these go on no object may be deleted. */
const NEEDS_OBJECTS: ReadonlySet<BackupJob['kind']> = new Set(['create', 'import', 'restore']);

const ENTRY = join(import.meta.dirname, 'workers/backups.ts');

/** What the process of a job is told. */
export interface BackupOrder {
  readonly job: BackupJob;
  readonly config: Config;
  readonly secret: InstallationSecret;
}

export interface RunBackupJobOptions extends JobOptions {
  readonly config: Config;
  readonly secret: InstallationSecret;
  /** Shared by all who work on the same objects. */
  readonly leases: Leases;
  readonly leaseTimes?: CreationLeaseTimes;
}

/**
 * Does one job on backups in a process of its own, which is killed by the signal and ends when this process does. While a backup is
 * taken this process holds the lease that keeps deleted files' objects; when it is lost the backup does not become complete.
 * @throws what the job threw, `backups/*` among them; the signal's reason; `server/internal` when the process died.
 */
export async function runBackupJob<Job extends BackupJob>(
  job: Job,
  options: RunBackupJobOptions,
): Promise<BackupJobResult<Job['kind']>> {
  const { leases, leaseTimes, signal } = options;
  if (!NEEDS_OBJECTS.has(job.kind)) return run(job, options, async () => true);
  const lease = await holdCreationLease(leases, { ...leaseTimes, signal });
  let isFinished = false;
  try {
    const either = AbortSignal.any([lease.signal, ...(signal ? [signal] : [])]);
    const result = await run(job, { ...options, signal: either }, lease.isHeld);
    isFinished = true;
    return result;
  } finally {
    await lease.release(isFinished);
  }
}

/** The bytes that a job gives, in a process of its own that ends when nobody reads them any more. */
export function streamBackupJob(
  job: BackupJob<'archive'>,
  { config, secret, signal }: Pick<RunBackupJobOptions, 'config' | 'secret' | 'signal'>,
): ReadableStream<Uint8Array> {
  const order: BackupOrder = { job, config, secret };
  return streamJobProcess<BackupOrder, JobProgress>(
    { entry: ENTRY, order, onProgress: () => undefined, onAsk: async () => true, signal },
    toError,
  );
}

async function run<Job extends BackupJob>(
  job: Job,
  { config, secret, onProgress = () => undefined, signal }: Omit<RunBackupJobOptions, 'leases'>,
  onAsk: () => Promise<boolean>,
): Promise<BackupJobResult<Job['kind']>> {
  const outcome = await runJobProcess<BackupOrder, JobProgress, BackupJobResult<Job['kind']>>({
    entry: ENTRY,
    order: { job, config, secret },
    onProgress,
    onAsk,
    signal,
  });
  if ('result' in outcome) return outcome.result;
  throw toError(outcome.failure);
}

/** The error as it was thrown in the other process. */
function toError({ code, detail, retryAfterSeconds, stack }: JobFailure): Error {
  const cause = Object.assign(new Error('in the process of the job'), { stack });
  const [area, name = ''] = code?.split('/') ?? [];
  const rows: Readonly<Record<string, ProblemRow>> | undefined = problemTables.find(
    (table) => table.area === area,
  )?.rows;
  const row = rows?.[name];
  if (code === null || !row) return new Error('a job on backups failed', { cause });
  return new AppError(code, row, { detail, cause, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) });
}
