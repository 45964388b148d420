import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DatabaseImages, ImageReport } from '../../ports/database-images.ts';
import { damaged } from './codec.ts';
import { makeDirectory, syncDirectory } from './durable-files.ts';
import type { DatabaseEntry } from './manifest.ts';
import { backupProblems } from './problems.ts';
import type { Repository } from './repository.ts';

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Hears of bytes that have been written. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Writes the image of a database to a file and compares it with what was stored. It is durable after {@link syncImage}.
 * @throws backups/damaged, backups/no-room, the signal's reason.
 */
export async function fetchImage(
  repository: Pick<Repository, 'openObject'>,
  { image }: Pick<DatabaseEntry, 'image'>,
  path: string,
  { signal, onBytes = () => undefined }: FetchOptions = {},
): Promise<void> {
  makeDirectory(dirname(path));
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of repository.openObject(image)) {
      signal?.throwIfAborted();
      for (let done = 0; done < chunk.length; ) done += (await file.write(chunk, done)).bytesWritten;
      onBytes(chunk.length);
    }
  } catch (error) {
    throw isFull(error) ? backupProblems.create('no-room', { cause: error }) : error;
  } finally {
    await file.close();
  }
}

/** Makes a file and its name durable. @throws backups/no-room where the file system finds out only now. */
export async function syncImage(path: string): Promise<void> {
  const file = await open(path);
  try {
    await file.sync();
  } catch (error) {
    throw isFull(error) ? backupProblems.create('no-room', { cause: error }) : error;
  } finally {
    await file.close();
  }
  syncDirectory(dirname(path));
}

/**
 * Checks an image from within and counts its rows, against what was counted when it was taken.
 * @throws backups/damaged
 */
export async function assertImage(
  images: Pick<DatabaseImages, 'inspect'>,
  { name, image, tables }: DatabaseEntry,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const report = await images.inspect(path, name, signal);
  const fault = report.problems[0] ?? findDifference(tables, report.tables);
  if (fault) throw damaged(image, fault);
}

/**
 * Checks a database that was changed after it had been restored: it must be sound, and whole but for some tables.
 * @throws backups/damaged
 */
export async function assertPrepared(
  images: Pick<DatabaseImages, 'inspect'>,
  { name, image, tables }: DatabaseEntry,
  path: string,
  changed: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<void> {
  const report = await images.inspect(path, name, signal);
  const same = Object.entries(tables).filter(([table]) => !changed.has(table));
  const fault = report.problems[0] ?? findDifference(Object.fromEntries(same), report.tables);
  if (fault) throw damaged(image, `after it had been brought up to date, ${fault}`);
}

function findDifference(wanted: ImageReport['tables'], found: ImageReport['tables']): string | undefined {
  const [table] = Object.entries(wanted).find(([name, rows]) => found[name] !== rows) ?? [];
  if (table === undefined) return undefined;
  return `the table ${table} has ${found[table] ?? 'no'} rows where it had ${wanted[table]}`;
}

function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(String((error as NodeJS.ErrnoException).code));
}
