import { join } from 'node:path';
import { databaseImages } from '../../../src/db/database-images.ts';
import { claimFile } from '../../../src/db/exclusive-use.ts';
import { loadMigrations } from '../../../src/db/migrate.ts';
import { prepareRestoredDatabase } from '../../../src/db/restored-database.ts';
import { unpackingThreads } from '../../../src/drivers/unpacking-threads.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import type { JobOptions } from '../../../src/modules/backups/jobs.ts';
import { applyPendingRestore } from '../../../src/modules/backups/pending-restore.ts';
import {
  prepareRestore,
  type RestoreHost,
  type RestoreOrder,
  type RestoreTarget,
} from '../../../src/modules/backups/restore.ts';
import { systemClock } from '../../../src/ports/clock.ts';
import { recordingLog } from '../../support/fakes.ts';
import type { TestSystem } from './system.ts';

type System = Pick<TestSystem, 'dataDir' | 'repository' | 'objects'>;

export function hostOf({ repository }: System, changes: Partial<RestoreHost> = {}): RestoreHost {
  return {
    repository,
    images: databaseImages([]),
    unpacking: unpackingThreads,
    clock: systemClock,
    knownMigrations: loadMigrations().map(({ name }) => name),
    prepareMain: (path, options) =>
      prepareRestoredDatabase(
        { kind: 'file', name: 'main', path, engine: 'sqlite' },
        { ...options, log: recordingLog() },
      ),
    assertProtected: async () => undefined,
    ...changes,
  };
}

export function targetOf({ dataDir, objects }: System): RestoreTarget {
  return { dataDir, databasePath: (name) => join(dataDir, `${name}.db`), objects };
}

/** Makes a backup ready to be put in place. */
export function prepare(
  system: System,
  order: Omit<RestoreOrder, 'id'>,
  { changes = {}, on = {} }: { readonly changes?: Partial<RestoreHost>; readonly on?: JobOptions } = {},
) {
  return prepareRestore(hostOf(system, changes), targetOf(system), { id: uuidv7(), ...order }, on);
}

export const putInPlace = (dataDir: string) => applyPendingRestore({ dataDir, claim: claimFile, patienceMs: 0 });
