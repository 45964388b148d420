import { existsSync } from 'node:fs';
import type { Config } from '../config/load.ts';
import { databaseLeases } from '../db/leases.ts';
import { openDatabase } from '../db/registry.ts';
import { holdCreationLease } from '../modules/backups/creation-lease.ts';
import { backupProblems } from '../modules/backups/problems.ts';
import { databaseLocations } from '../paths.ts';
import { systemClock } from '../ports/clock.ts';
import type { Database } from '../ports/database.ts';
import { silentLog } from './silent-log.ts';

/**
 * Keeps a server that may be running from deleting objects, while work goes on that needs them; two who do such work exclude each
 * other. Without a database that can be opened no server runs, and there is nothing to keep it from.
 * @param work gets what asks whether that still holds, and a signal that ends the work when it does not.
 */
export async function withProtection<T>(
  config: Config,
  signal: AbortSignal,
  work: (assertProtected: () => Promise<void>, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const database = await openMain(config);
  if (!database) return work(async () => undefined, signal);
  try {
    const lease = await holdCreationLease(databaseLeases(database, systemClock), { signal }).catch((error: unknown) => {
      if (backupProblems.is(error, 'busy') || signal.aborted) throw error;
      return null;
    });
    if (!lease) return await work(async () => undefined, signal);
    try {
      return await work(
        async () => {
          if (!(await lease.isHeld())) throw backupProblems.create('lease-lost');
        },
        AbortSignal.any([signal, lease.signal]),
      );
    } finally {
      await lease.release(false);
    }
  } finally {
    await database.close();
  }
}

/** The live main database as it is; `null` when there is none, or it cannot be opened, which may be why it is restored. */
async function openMain(config: Config): Promise<Database | null> {
  const location = databaseLocations(config).find(({ name }) => name === 'main');
  // Two processes must not write to a file with libSQL's library.
  if (location?.kind !== 'file' || location.engine !== 'sqlite' || !existsSync(location.path)) return null;
  return openDatabase(location, { log: silentLog }).catch(() => null);
}
