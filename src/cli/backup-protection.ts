import { existsSync } from 'node:fs';
import type { Config } from '../config/load.ts';
import { claimFile } from '../db/exclusive-use.ts';
import { databaseLeases } from '../db/leases.ts';
import { openDatabase } from '../db/registry.ts';
import { holdCreationLease } from '../modules/backups/creation-lease.ts';
import { backupProblems } from '../modules/backups/problems.ts';
import { databaseLocations } from '../paths.ts';
import { systemClock } from '../ports/clock.ts';
import { CommandError } from './command.ts';
import { silentLog } from './silent-log.ts';

/**
 * Keeps a server that may be running from deleting objects, while work goes on that needs them; two who do such work exclude each
 * other. Without a database that can be opened no server runs, and there is nothing to keep it from. Where the database cannot be
 * shared with a server, none may run.
 * @param work gets what asks whether that still holds, and a signal that ends the work when it does not.
 * @throws CommandError when a server runs that nothing could be kept from.
 */
export async function withProtection<T>(
  config: Config,
  signal: AbortSignal,
  work: (assertProtected: () => Promise<void>, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const location = mainFile(config);
  if (location?.engine === 'libsql') {
    const assertUnused = async () => assertNobodyUses(location.path);
    await assertUnused();
    return work(assertUnused, signal);
  }
  const database = location ? await openDatabase(location, { log: silentLog }).catch(() => null) : null;
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

/** The live main database, when it is in a file that is there. */
function mainFile(config: Config) {
  const location = databaseLocations(config).find(({ name }) => name === 'main');
  return location?.kind === 'file' && existsSync(location.path) ? location : null;
}

/** Two processes must not write to a file with libSQL's library, so that no lease can be taken beside a server. */
function assertNobodyUses(path: string): void {
  const release = claimFile(path);
  if (!release) {
    throw new CommandError(
      'the database is in use, and with DATABASE_ENGINE=libsql it cannot be shared: stop the server first',
    );
  }
  release();
}
