import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { uuidv7 } from '../../kernel/ids.ts';
import { databaseProblems, storageProblems } from '../../kernel/problems.ts';
import type { Clock } from '../../ports/clock.ts';
import type { CreateOptions, Run, Taken } from './create-run.ts';
import { takeSystem } from './create-system.ts';
import { takeArchive, takeUser } from './create-user.ts';
import type { CreateJob, CreateResult, ImportJob, JobOptions } from './jobs.ts';
import type { Manifest } from './manifest.ts';
import { backupProblems } from './problems.ts';
import { createProgress } from './progress.ts';
import type { Repository } from './repository.ts';

export type { CreateOptions } from './create-run.ts';

/**
 * Takes a backup. It is complete when its manifest is there, which is written last; a run that ends before leaves objects that
 * nothing refers to, and the next run finds them. Files deleted meanwhile are in it when an image names them.
 * @throws backups/busy, backups/lease-lost, backups/no-room, backups/damaged-database, backups/damaged-write, backups/not-found for an
 * account that is gone; the signal's reason.
 */
export async function createBackup(
  job: CreateJob | ImportJob,
  options: CreateOptions,
  on: JobOptions = {},
): Promise<CreateResult> {
  const { repository, clock, workDir } = options;
  const startedAt = clock.now();
  // Whoever takes a backup is alone on this system, so nobody uses these.
  await rm(workDir, { recursive: true, force: true });
  const scratch = join(workDir, job.id);
  try {
    await repository.initialise();
    const lease = await repository.lease('shared', `taking the backup ${job.id}`);
    try {
      await mkdir(scratch, { recursive: true, mode: 0o700 });
      const signal = AbortSignal.any([lease.signal, ...(on.signal ? [on.signal] : [])]);
      const progress = createProgress(on.onProgress ?? (() => undefined));
      const [previous, suspects] = [await findPrevious(repository, job), await repository.suspects()];
      const run: Run = { ...options, job, scratch, progress, signal, previous, suspects };
      const taken = await take(run);
      const manifest: Manifest = {
        format: 1,
        id: job.id,
        scope: scopeOf(job),
        userId: job.userId,
        note: job.note,
        tookMs: Math.max(0, clock.now() - startedAt),
        program: options.program,
        installation: options.installation,
        files: taken.result.fileCount,
        origin: job.kind === 'import' ? 'imported' : 'here',
        recipient: repository.recipient,
        ...taken.parts,
      };
      signal.throwIfAborted();
      if (!(await options.guard.isHeld())) throw backupProblems.create('lease-lost');
      await repository.writeManifest(manifest, lease);
      await repository.writeCheck(writeCheckOf(manifest, clock));
      return { id: job.id, tookMs: manifest.tookMs, damaged: manifest.damaged, ...taken.result };
    } finally {
      await lease.release();
    }
  } catch (error) {
    throw translated(error);
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

function take(run: Run): Promise<Taken> {
  const { job } = run;
  if (job.kind === 'import') return takeArchive(run, job);
  return job.scope === 'system' ? takeSystem(run) : takeUser(run);
}

function scopeOf(job: CreateJob | ImportJob): Manifest['scope'] {
  return job.kind === 'import' ? 'user' : job.scope;
}

/** One of the whole system has the contents of all users. One whose list is damaged is of no use. */
async function findPrevious(repository: Repository, job: CreateJob | ImportJob): Promise<Manifest[]> {
  const scope = scopeOf(job);
  const { userId } = job;
  const { manifests } = await repository.snapshots();
  const usable = manifests.filter((manifest) => repository.canReuse(manifest));
  const system = usable.find((manifest) => manifest.scope === 'system');
  const own =
    scope === 'user' ? usable.find((manifest) => manifest.userId === userId && manifest.scope === 'user') : null;
  const sound: Manifest[] = [];
  for (const manifest of [system, own]) {
    if (!manifest) continue;
    try {
      await repository.verifyStored(manifest.blobs.list);
      sound.push(manifest);
    } catch (error) {
      if (!backupProblems.is(error, 'damaged')) throw error;
    }
  }
  return sound;
}

/** All that was stored was read back, so the first check is done. */
function writeCheckOf({ id, tookMs }: Manifest, clock: Clock) {
  const startedAt = new Date(clock.now()).toISOString();
  return { id: uuidv7(clock.now()), snapshot: id, kind: 'write' as const, startedAt, tookMs, ok: true, findings: [] };
}

/** What rooms below say of a full disk and a damaged file, in the words of backups. */
function translated(error: unknown): unknown {
  if (databaseProblems.is(error, 'full')) {
    const detail = 'There is not enough room for copies of the databases below DATA_DIR. No backup was made.';
    return backupProblems.create('no-room', { cause: error, detail });
  }
  if (storageProblems.is(error, 'full')) {
    const detail = 'There is not enough room where backups are kept. No backup was made.';
    return backupProblems.create('no-room', { cause: error, detail });
  }
  if (backupProblems.is(error, 'wrong-content')) {
    const detail = 'The archive was not taken. The content of a file in it is not what its index says.';
    return backupProblems.create('refused-archive', { cause: error, detail });
  }
  if (databaseProblems.is(error, 'corrupt')) return backupProblems.create('damaged-database', { cause: error });
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') {
    return backupProblems.create('no-room', { cause: error });
  }
  return error;
}
