import { existsSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Config } from './config/load.ts';
import { claimFile } from './db/exclusive-use.ts';
import { loadMigrations } from './db/migrate.ts';
import type { DatabaseLocation } from './db/registry.ts';
import { prepareRestoredDatabase } from './db/restored-database.ts';
import { diskObjectStore } from './drivers/disk-object-store.ts';
import { isIdentityAlive, ownIdentity } from './drivers/process-identity.ts';
import { startScratchServer } from './drivers/scratch-server.ts';
import { unpackingThreads } from './drivers/unpacking-threads.ts';
import { uuidv7 } from './kernel/ids.ts';
import type { Check } from './modules/backups/check.ts';
import { syncDirectory } from './modules/backups/durable-files.ts';
import type { JobOptions } from './modules/backups/jobs.ts';
import type { Manifest } from './modules/backups/manifest.ts';
import { applyPendingRestore } from './modules/backups/pending-restore.ts';
import { backupProblems } from './modules/backups/problems.ts';
import { createProgress } from './modules/backups/progress.ts';
import type { Repository } from './modules/backups/repository.ts';
import {
  chooseDatabases,
  prepareRestore,
  type RestoreHost,
  type RestoreOrder,
  type RestoreReport,
  type RestoreTarget,
} from './modules/backups/restore.ts';
import { planRestore, type RestorePlan } from './modules/backups/restore-plan.ts';
import { assertImage, fetchImage, syncImage } from './modules/backups/restored-images.ts';
import { testRestore } from './modules/backups/test-restore.ts';
import { databaseLocations, locations } from './paths.ts';
import { systemClock } from './ports/clock.ts';
import type { DatabaseImages } from './ports/database-images.ts';
import type { Logger } from './ports/logger.ts';
import { openStorage, storageLocation } from './storage.ts';

/** Begins the name of a scratch directory; the rest says whose it is. */
const SCRATCH = 'backups-scratch-';

export interface RestoresOptions {
  readonly config: Config;
  readonly repository: Repository;
  readonly images: DatabaseImages;
  readonly log: Logger;
}

export interface SystemRestoreOrder
  extends Pick<RestoreOrder, 'manifest' | 'database' | 'endsSessions' | 'acceptsLoss'> {
  /** A directory that becomes a data folder of its own; nothing else is touched then. */
  readonly directory?: string | undefined;
}

export interface SystemRestoreReport extends RestoreReport {
  /** Whether it is in place already, as where there was nothing before; else the next start puts it there. */
  readonly isInPlace: boolean;
}

/** Ways to get something back from a repository. Each holds a shared lease of it meanwhile. */
export interface Restores {
  /** What a restore would change; changes nothing. */
  plan(order: SystemRestoreOrder, on?: JobOptions): Promise<RestorePlan>;
  /**
   * Makes a system backup ready for the next start, or puts it in place at once where there is no database yet.
   * @param assertProtected rejects when what keeps a running server from deleting objects was lost.
   */
  restore(
    order: SystemRestoreOrder,
    assertProtected: () => Promise<void>,
    on?: JobOptions,
  ): Promise<SystemRestoreReport>;
  /** Writes one database to a file that does not exist yet, as any SQLite tool opens it. @returns its bytes. */
  writeDatabase(manifest: Manifest, name: string, path: string, on?: JobOptions): Promise<number>;
  /** Proves that a backup restores, in a scratch directory below the data folder. */
  test(manifest: Manifest, on?: JobOptions): Promise<Check>;
}

export function createRestores({ config, repository, images, log }: RestoresOptions): Restores {
  const live = databaseLocations(config);
  const { dataDir } = locations(config);
  const mainEngine = live.find((location) => location.name === 'main' && location.kind === 'file');
  const knownMigrations = loadMigrations().map(({ name }) => name);

  const hostOf = (assertProtected: () => Promise<void>): RestoreHost => ({
    repository,
    images,
    unpacking: unpackingThreads,
    clock: systemClock,
    knownMigrations,
    prepareMain: (path, options) =>
      prepareRestoredDatabase({ ...asFile('main', path, mainEngine), path }, { ...options, log }),
    assertProtected,
  });

  const targetOf = async (directory: string | undefined): Promise<RestoreTarget> => {
    if (directory !== undefined) return folderTarget(resolve(directory));
    const { objects } = await openStorage(storageLocation(config), config, log);
    return {
      dataDir,
      objects,
      databasePath(name) {
        const location = live.find((candidate) => candidate.name === name);
        // One that the settings do not name yet waits where it would be by default.
        if (!location) return join(dataDir, `${name}.db`);
        return location.kind === 'file' ? throughLinks(location.path) : null;
      },
    };
  };

  const leased = async <T>(
    purpose: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> => {
    const lease = await repository.lease('shared', purpose);
    try {
      return await work(AbortSignal.any([lease.signal, ...(signal ? [signal] : [])]));
    } finally {
      await lease.release();
    }
  };

  return {
    plan: ({ manifest, database, directory }, { onProgress, signal } = {}) =>
      leased(
        `looking into the backup ${manifest.id}`,
        async (either) =>
          planRestore(
            hostOf(async () => undefined),
            await targetOf(directory),
            { id: uuidv7(), manifest, database },
            { onProgress, signal: either },
          ),
        signal,
      ),

    restore: ({ directory, ...order }, assertProtected, { onProgress, signal } = {}) =>
      leased(
        `restoring the backup ${order.manifest.id}`,
        async (either) => {
          if (directory !== undefined) assertUsable(directory);
          const target = await targetOf(directory);
          const isNew = !order.manifest.databases.some(({ name }) => existsSync(target.databasePath(name) ?? ''));
          const report = await prepareRestore(
            hostOf(assertProtected),
            target,
            { ...order, id: uuidv7() },
            { onProgress, signal: either },
          );
          const swap = isNew ? await applyPendingRestore({ dataDir: target.dataDir, claim: claimFile }) : null;
          return { ...report, isInPlace: swap?.status === 'swapped' };
        },
        signal,
      ),

    writeDatabase: (manifest, name, path, { onProgress = () => undefined, signal } = {}) =>
      leased(
        `restoring a database of the backup ${manifest.id}`,
        async (either) => {
          if (existsSync(path))
            throw backupProblems.create('occupied', { detail: `${path} exists already. Name a new file.` });
          const [entry] = chooseDatabases(manifest, name);
          if (!entry) throw backupProblems.create('not-found');
          if (!repository.canRead(manifest)) throw backupProblems.create('needs-key');
          const progress = createProgress(onProgress);
          progress.begin({ phase: 'databases', from: 0, to: 1 }, entry.image.bytes);
          const draft = join(dirname(resolve(path)), `.${basename(path)}.${uuidv7()}`);
          try {
            await fetchImage(repository, entry, draft, { signal: either, onBytes: progress.add });
            await syncImage(draft);
            await assertImage(images, entry, draft);
            await rename(draft, path);
            syncDirectory(dirname(resolve(path)));
          } finally {
            rmSync(draft, { force: true });
          }
          return entry.image.bytes;
        },
        signal,
      ),

    test: (manifest, { onProgress, signal } = {}) =>
      leased(
        `restoring the backup ${manifest.id} for a test`,
        (either) =>
          withScratch(dataDir, (scratchDir) =>
            testRestore(
              {
                ...hostOf(async () => undefined),
                scratchDir,
                openObjects: (root) => diskObjectStore({ root }),
                claim: claimFile,
                boot: (directory, names, stopSignal) =>
                  startScratchServer({
                    dataDir: directory,
                    env: databaseSettings(directory, names, live),
                    signal: stopSignal,
                  }),
              },
              manifest,
              { onProgress, signal: either },
            ),
          ),
        signal,
      ),
  };
}

/**
 * Does work that needs room for a while in a directory of this process, which is removed afterwards; so is what processes that were
 * killed have left in theirs.
 */
export async function withScratch<T>(dataDir: string, work: (directory: string) => Promise<T>): Promise<T> {
  const names = existsSync(dataDir) ? readdirSync(dataDir) : [];
  for (const name of names.filter((each) => each.startsWith(SCRATCH))) {
    if (!isIdentityAlive(name.slice(SCRATCH.length))) rmSync(join(dataDir, name), { recursive: true, force: true });
  }
  const directory = join(dataDir, `${SCRATCH}${ownIdentity}`);
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A data folder with everything in it. */
function folderTarget(directory: string): RestoreTarget {
  return {
    dataDir: directory,
    databasePath: (name) => join(directory, `${name}.db`),
    objects: diskObjectStore({ root: join(directory, 'objects') }),
  };
}

/** A directory may hold what an earlier try left there, and nothing else. */
function assertUsable(directory: string): void {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  const strange = names.find((name) => name !== 'objects' && !/^restore[.-]/.test(name));
  if (strange === undefined) return;
  throw backupProblems.create('occupied', { detail: `${directory} is not empty. Name a new directory.` });
}

/** How a database is opened that the settings keep elsewhere, or do not name. */
function asFile(
  name: string,
  path: string,
  location: DatabaseLocation | undefined,
): Extract<DatabaseLocation, { kind: 'file' }> {
  return location?.kind === 'file' ? location : { kind: 'file', name, path, engine: 'sqlite' };
}

/** Settings for a server that finds its databases in a folder. */
function databaseSettings(
  directory: string,
  names: readonly string[],
  live: readonly DatabaseLocation[],
): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const name of names) {
    const prefix = name === 'main' ? 'DATABASE' : `DATABASE_${name.toUpperCase()}`;
    settings[`${prefix}_URL`] = `file:${join(directory, `${name}.db`)}`;
    const location = live.find((candidate) => candidate.name === name);
    if (location?.kind !== 'file' || location.engine === 'sqlite') continue;
    settings[`${prefix}_ENGINE`] = location.engine;
    if (location.encryptionKey !== undefined) settings[`${prefix}_ENCRYPTION_KEY`] = location.encryptionKey;
  }
  return settings;
}

/** The file that a path leads to, so that it is replaced and not the link. */
function throughLinks(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}
