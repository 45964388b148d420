import { and, eq, gt, isNotNull } from 'drizzle-orm';
import { jobLeases } from '../../db/schema/jobs.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Queries } from '../../ports/database.ts';
import type { Lease, Leases } from '../../ports/leases.ts';
import { backupProblems } from './problems.ts';

/** The job whose lease stands for: somebody takes a backup. While it lives no object is deleted, on whichever machine. */
const CREATION_JOB = 'backups/create';

/** Whether somebody takes a backup. A lease that was not renewed in time does not count. */
export async function isBackupUnderWay(queries: Queries, clock: Clock): Promise<boolean> {
  const isLive = and(
    eq(jobLeases.job, CREATION_JOB),
    isNotNull(jobLeases.holder),
    gt(jobLeases.expiresAt, clock.now()),
  );
  return (await queries.select({ fence: jobLeases.fence }).from(jobLeases).where(isLive).get()) !== undefined;
}

/** The right to take a backup, renewed until it is released. */
export interface CreationLease {
  /** Renews it. `false` when it was lost: objects that the images name may be gone. */
  isHeld(): Promise<boolean>;
  /** Aborted when it was lost. */
  readonly signal: AbortSignal;
  release(isFinished: boolean): Promise<void>;
}

export interface CreationLeaseTimes {
  readonly ttlMs?: number;
  readonly renewMs?: number;
  /** How long another one's backup is waited for; longer than a lease lives, so that one who died is outwaited. */
  readonly waitMs?: number;
  readonly lookMs?: number;
}

/** @throws backups/busy when another backup is still being taken after `waitMs`; the signal's reason. */
export async function holdCreationLease(
  leases: Leases,
  {
    signal,
    ttlMs = 60_000,
    renewMs = 10_000,
    waitMs = 90_000,
    lookMs = 1_000,
  }: CreationLeaseTimes & { readonly signal?: AbortSignal | undefined } = {},
): Promise<CreationLease> {
  const lease = await waitFor(leases, { ttlMs, waitMs, lookMs, signal });
  const lost = new AbortController();
  let heldAt = performance.now();

  const renew = async (): Promise<boolean> => {
    const startedAt = performance.now();
    if (lost.signal.aborted || startedAt - heldAt > ttlMs || !(await lease.renew())) {
      lost.abort(backupProblems.create('lease-lost'));
      return false;
    }
    heldAt = startedAt;
    return true;
  };
  let renewing: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    // A database that does not answer may do so at the next try; when it never does the time runs out.
    renewing = renew().catch(() => undefined);
  }, renewMs);
  timer.unref();

  return {
    isHeld: renew,
    signal: lost.signal,
    async release(isFinished) {
      clearInterval(timer);
      await renewing;
      await lease.release(isFinished);
    },
  };
}

interface Waiting {
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly lookMs: number;
  readonly signal: AbortSignal | undefined;
}

async function waitFor(leases: Leases, { ttlMs, waitMs, lookMs, signal }: Waiting): Promise<Lease> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    signal?.throwIfAborted();
    const lease = await leases.acquire(CREATION_JOB, ttlMs);
    if (lease) return lease;
    if (performance.now() >= deadline) {
      throw backupProblems.create('busy', { detail: 'Another backup is being taken. Try again when it is done.' });
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}
