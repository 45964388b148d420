import { existsSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { storageProblems } from '../../kernel/problems.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DatabaseImages, FileRow } from '../../ports/database-images.ts';
import type { ObjectStore } from '../../ports/object-store.ts';
import type { Unpacking } from '../../ports/unpacking.ts';
import { atOnce } from './at-once.ts';
import { damaged } from './codec.ts';
import { makeDirectory, writeDurably } from './durable-files.ts';
import { inTurn } from './in-turn.ts';
import type { JobOptions } from './jobs.ts';
import type { DatabaseEntry, Manifest } from './manifest.ts';
import { readPendingRestore, sidePath, writePendingRestore } from './pending-restore.ts';
import { backupProblems } from './problems.ts';
import { createProgress } from './progress.ts';
import type { Repository } from './repository.ts';
import { assertImage, assertPrepared, fetchImage, syncImage } from './restored-images.ts';
import { findMissing, type LostFile, restoreObjects } from './restored-objects.ts';
import { readSealed } from './sealed.ts';

/** Where a restored system goes. */
export interface RestoreTarget {
  /** Gets the note of the restore, and the secret. */
  readonly dataDir: string;
  /** The final path of each database, by name. Those that are not in files have none. */
  readonly databasePath: (name: string) => string | null;
  readonly objects: Pick<ObjectStore, 'get' | 'put' | 'putFile' | 'sizeNow' | 'list' | 'flush' | 'delete' | 'settle'>;
}

export interface RestoreHost {
  readonly repository: Repository;
  readonly images: Pick<DatabaseImages, 'inspect' | 'files'>;
  readonly unpacking: () => Unpacking;
  readonly clock: Clock;
  /** Names of the migrations that this version knows. */
  readonly knownMigrations: readonly string[];
  /**
   * Brings the restored main database up to date: migrations, and what must not come back to life.
   * @returns names of the migrations that were applied.
   */
  readonly prepareMain: (path: string, options: PrepareMainOptions) => Promise<readonly string[]>;
  /** Rejects when what protects the live objects of a running server was lost. */
  readonly assertProtected: () => Promise<void>;
}

interface PrepareMainOptions {
  readonly endsSessions: boolean;
  /** Id of the backup. */
  readonly snapshot: string;
  /** What is noted of work on backups that was waited for or under way then. */
  readonly interruption: { readonly code: string; readonly detail: string };
}

export interface RestoreOrder {
  /** Of this run: names the side path. */
  readonly id: string;
  readonly manifest: Manifest;
  /** Only this database. */
  readonly database?: string | undefined;
  /** Ends every login that the backup knows. */
  readonly endsSessions?: boolean;
  /** Goes on without files that the backup lost; else nothing is restored when there are any. */
  readonly acceptsLoss?: boolean;
  /** Of the files; all unless said. @param rows in order of their hashes; what is chosen must be in that order. */
  readonly chooseFiles?: (rows: AsyncIterable<FileRow>) => AsyncIterable<FileRow>;
  /** Bytes of those. */
  readonly fileTotal?: number;
}

export interface RestoreReport {
  readonly snapshot: string;
  readonly databases: readonly {
    readonly name: string;
    readonly path: string;
    readonly bytes: number;
    readonly rows: number;
  }[];
  /** Migrations that were applied to the restored main database. */
  readonly migrations: readonly string[];
  readonly files: { readonly kept: number; readonly put: number; readonly putBytes: number };
  readonly lost: readonly LostFile[];
  readonly secret: Manifest['secret'];
  readonly tookMs: number;
}

/** The share of the work that is done when all bytes are there. */
const BYTES_SHARE = 0.95;
/** Objects that are settled at once. */
const SETTLES = 16;
/** Tables in which rows of the backup may go when it is brought up to date. */
const CHANGED_TABLES = new Set(['file_variants', 'doomed_objects', 'job_leases', 'bunkhouse_migrations']);

/**
 * Makes a system backup ready at a side path, checks it there, and notes that the next start is to put it in place
 * (`applyPendingRestore`). Until that note is written nothing that lives is touched but for objects that were missing or wrong.
 *
 * @throws backups/* and `storage/*`; nothing is pending then.
 */
export async function prepareRestore(
  host: RestoreHost,
  target: RestoreTarget,
  order: RestoreOrder,
  { onProgress = () => undefined, signal }: JobOptions = {},
): Promise<RestoreReport> {
  const { repository, images, clock } = host;
  const {
    id,
    manifest,
    database,
    endsSessions = false,
    acceptsLoss = false,
    fileTotal,
    chooseFiles = (all) => all,
  } = order;
  const startedAt = performance.now();
  const entries = chooseDatabases(manifest, database);
  assertKnown(manifest, host.knownMigrations);
  if (!repository.canRead(manifest)) throw backupProblems.create('needs-key');
  const places = entries.map((entry) => ({ entry, path: placeOf(entry, target) }));
  const main = places.find(({ entry }) => entry.name === 'main');
  const isWhole = database === undefined;
  makeDirectory(target.dataDir);
  removeLeftovers([...places.map(({ path }) => dirname(path)), target.dataDir], target.dataDir);
  assertRoom(places);

  const progress = createProgress(onProgress);
  const databaseBytes = sum(entries.map(({ image }) => image.bytes));
  const fileBytes = main ? (fileTotal ?? manifest.blobs.bytes) : 0;
  const share = (BYTES_SHARE * databaseBytes) / Math.max(1, databaseBytes + fileBytes);
  const secretPath = join(target.dataDir, 'secret');
  const sides = [...places.map(({ path }) => sidePath(path, id)), sidePath(secretPath, id)];
  const checks = inTurn(signal);
  const unpacking = host.unpacking();
  try {
    progress.begin({ phase: 'databases', from: 0, to: share }, databaseBytes);
    for (const { entry, path } of places) {
      const side = sidePath(path, id);
      await fetchImage(repository, entry, side, { signal: checks.signal, onBytes: progress.add });
      checks.add(async () => {
        const syncing = syncImage(side);
        syncing.catch(() => undefined);
        await assertImage(images, entry, side, checks.signal);
        await syncing;
      });
    }
    progress.begin({ phase: 'files', from: share, to: BYTES_SHARE }, fileBytes);
    const objects = main
      ? await restoreObjects({
          repository,
          unpacking,
          manifest,
          rows: chooseFiles(images.files(sidePath(main.path, id))),
          objects: target.objects,
          signal: checks.signal,
          onBytes: progress.add,
        })
      : { kept: 0, put: 0, putBytes: 0, unsettled: [], lost: [] };
    const isDamaged = objects.lost.some(({ reason }) => reason === 'damaged-backup');
    if (isDamaged && !acceptsLoss) throw refuseLoss(objects.lost);

    progress.begin({ phase: 'finishing', from: BYTES_SHARE, to: 1 }, 0);
    await checks.done();
    const hasSecret = isWhole && (await restoreSecret(repository, manifest, sidePath(secretPath, id)));
    const prepared = { endsSessions, snapshot: manifest.id, interruption: interruption() };
    const migrations = main ? await host.prepareMain(sidePath(main.path, id), prepared) : [];
    if (main) {
      const side = sidePath(main.path, id);
      // What else was changed are rows, as every start of a server changes some.
      if (migrations.length > 0)
        checks.add(() => assertPrepared(images, main.entry, side, CHANGED_TABLES, checks.signal));
      await target.objects.flush?.();
      const lost = new Set(objects.lost.map(({ fileId }) => fileId));
      const missing = await findMissing(chooseFiles(images.files(side)), target.objects, lost);
      if (missing.length > 0) throw goneMeanwhile(missing);
    }
    await checks.done();
    signal?.throwIfAborted();
    await host.assertProtected();
    const pieces = [
      ...places.map(({ path }) => ({ kind: 'database', path }) as const),
      ...(hasSecret ? [{ kind: 'secret', path: secretPath } as const] : []),
    ];
    writePendingRestore(target.dataDir, { id, snapshot: manifest.id, pieces }, new Date(clock.now()));
    // From here on the objects are needed, whatever happens.
    await atOnce(each(objects.unsettled), SETTLES, async (key) => {
      // One that fails now is settled after the next start, when a row names it.
      await target.objects.settle(key).catch(() => undefined);
    });
    const { kept, put, putBytes, lost } = objects;
    return {
      snapshot: manifest.id,
      databases: places.map(({ entry: { name, image, tables }, path }) => {
        return { name, path, bytes: image.bytes, rows: sum(Object.values(tables)) };
      }),
      migrations,
      files: { kept, put, putBytes },
      lost,
      secret: isWhole ? manifest.secret : 'none',
      tookMs: Math.round(performance.now() - startedAt),
    };
  } catch (error) {
    await checks.stop(error);
    if (readPendingRestore(target.dataDir)?.id !== id) {
      for (const side of sides) rmSync(dirname(side), { recursive: true, force: true });
    }
    throw error;
  } finally {
    unpacking.close();
  }
}

/** The databases of a backup that are to be restored. @throws backups/not-found, also for a backup of one user */
export function chooseDatabases(manifest: Manifest, name: string | undefined): readonly DatabaseEntry[] {
  if (manifest.scope !== 'system') {
    throw backupProblems.create('not-found', {
      detail: 'This is the backup of one user; only its files can be put back.',
    });
  }
  const chosen = manifest.databases.filter((entry) => name === undefined || entry.name === name);
  if (chosen.length > 0) return chosen;
  const known = manifest.databases.map((entry) => entry.name).join(', ');
  throw backupProblems.create('not-found', { detail: `The backup has no database of that name; it has ${known}.` });
}

/** @throws backups/newer-schema when this version does not know a migration that the backup has. */
export function assertKnown(manifest: Manifest, knownMigrations: readonly string[]): void {
  const main = manifest.databases.find(({ name }) => name === 'main');
  const unknown = main?.migrations.find((migration) => !knownMigrations.includes(migration));
  if (unknown === undefined) return;
  throw backupProblems.create('newer-schema', {
    detail: `The backup has migration ${unknown}, made by version ${manifest.program}, which this version does not know. Update first.`,
  });
}

/** Writes the secret that a backup has. @returns whether it has one. */
async function restoreSecret(
  repository: Pick<Repository, 'openObject'>,
  manifest: Manifest,
  path: string,
): Promise<boolean> {
  const entry = manifest.sealed.find(({ kind }) => kind === 'secret');
  if (!entry) return false;
  const { secret } = (await readSealed(repository, entry)) as { readonly secret?: unknown };
  if (typeof secret !== 'string') throw damaged(entry, 'it holds no secret');
  makeDirectory(dirname(path));
  writeDurably(path, secret);
  return true;
}

function placeOf({ name }: DatabaseEntry, { databasePath }: RestoreTarget): string {
  const path = databasePath(name);
  if (path !== null) return path;
  throw backupProblems.create('remote-database', {
    detail:
      `The database ${name} is not in a file of this machine, so it cannot be put in place. Restore it to a file with ` +
      `"bunkhouse backup restore ID --database ${name} --to FILE" and load that into the server where it lives.`,
  });
}

function assertRoom(places: readonly { readonly entry: DatabaseEntry; readonly path: string }[]): void {
  const needed = new Map<string, number>();
  for (const { entry, path } of places) {
    const directory = existing(dirname(path));
    needed.set(directory, (needed.get(directory) ?? 0) + entry.image.bytes);
  }
  for (const [directory, bytes] of needed) {
    const { bavail, bsize } = statfsSync(directory);
    if (bavail * bsize < bytes) {
      throw backupProblems.create('no-room', {
        detail: `The restore needs ${bytes} bytes in ${directory}, where ${bavail * bsize} are free. Nothing was changed.`,
      });
    }
  }
}

/** What restores that died have left; one that is pending keeps what it has. */
function removeLeftovers(directories: readonly string[], dataDir: string): void {
  const pending = readPendingRestore(dataDir);
  for (const directory of new Set(directories.filter((each) => existsSync(each)))) {
    for (const name of readdirSync(directory)) {
      if (!/^restore-[0-9a-f-]{36}$/.test(name) || name === `restore-${pending?.id}`) continue;
      rmSync(join(directory, name), { recursive: true, force: true });
    }
  }
}

function refuseLoss(lost: readonly LostFile[]) {
  const damaged = lost.filter(({ reason }) => reason === 'damaged-backup');
  const [first] = damaged;
  return backupProblems.create('damaged', {
    detail:
      `${damaged.length} files cannot be given back (${first?.fileId}: ${first?.detail}). Nothing was changed; ` +
      'verify the backup, take another one, or go on without these files with --accept-loss.',
  });
}

function goneMeanwhile([first, ...rest]: readonly string[]) {
  return storageProblems.create('unavailable', {
    detail: `The bytes of ${rest.length + 1} files (${first}) were deleted while the restore was under way. Nothing was changed; try again.`,
  });
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

function existing(path: string): string {
  return existsSync(path) ? path : existing(dirname(path));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function interruption(): PrepareMainOptions['interruption'] {
  const { code, detail } = backupProblems.create('interrupted', {
    detail: 'The system was restored to a state from before this was done. Ask for it again if it is still wanted.',
  });
  return { code, detail };
}
