import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { AccountRow, DatabaseImages, FileRow } from '../../ports/database-images.ts';
import type { PutBack } from '../uploads/index.ts';
import type { JobOptions } from './jobs.ts';
import type { Manifest } from './manifest.ts';
import { backupProblems } from './problems.ts';
import { createProgress, type ProgressReporter } from './progress.ts';
import type { Repository } from './repository.ts';
import { chooseDatabases } from './restore.ts';
import { assertImage, fetchImage } from './restored-images.ts';
import { joined } from './restored-objects.ts';
import { readSealed } from './sealed.ts';
import type { UserIndex } from './user-index.ts';

export interface ReturnHost {
  readonly repository: Repository;
  readonly images: Pick<DatabaseImages, 'inspect' | 'files' | 'account' | 'liveAccount'>;
  readonly putBack: PutBack;
  /** A file that may be made for a while. */
  readonly scratchPath: string;
}

export interface ReturnOrder {
  readonly manifest: Manifest;
  /** Id or address of the account whose files they are. */
  readonly user?: string | undefined;
  /** Only this file. */
  readonly fileId?: string | undefined;
  /** Only says what would be done. */
  readonly isDryRun?: boolean;
}

export interface ReturnedFiles {
  /** Who has them now. */
  readonly account: AccountRow;
  /** Were there as they are in the backup. */
  readonly present: number;
  readonly made: number;
  /** Had another content, which stays beside it as a copy. */
  readonly replaced: number;
  /** Of a dry run: files in the backup, and their bytes. */
  readonly found: { readonly count: number; readonly bytes: number };
  readonly lost: readonly { readonly fileId: string; readonly detail: string }[];
}

/**
 * Puts files of a system backup back as they were, while the system goes on: those of one user, or a single one. What the user has
 * besides is not touched.
 * @throws backups/not-found when the backup has no such account or file, or the account is not here any more; backups/damaged;
 * `uploads/*` when the user has no room for them.
 */
export async function returnFiles(
  { repository, images, putBack, scratchPath }: ReturnHost,
  { manifest, user, fileId, isDryRun = false }: ReturnOrder,
  { onProgress = () => undefined, signal }: JobOptions = {},
): Promise<ReturnedFiles> {
  if (!repository.canRead(manifest)) throw backupProblems.create('needs-key');
  const progress = createProgress(onProgress);
  try {
    const former = await (manifest.scope === 'user'
      ? readUserBackup(repository, manifest)
      : readSystemBackup({ repository, images, scratchPath }, manifest, user, fileId, progress, signal));
    const account = (await images.liveAccount(former.id)) ?? (await images.liveAccount(former.email));
    if (!account) {
      const detail = 'The account is not here any more. Create it with the same address first.';
      throw backupProblems.create('not-found', { detail });
    }
    const rows = () => wanted(former.files(), fileId);
    const found = await totalOf(rows());
    if (fileId !== undefined && found.count === 0) throw noSuchFile();
    const counts = { present: 0, made: 0, replaced: 0 };
    const lost: { fileId: string; detail: string }[] = [];
    if (isDryRun) return { account, ...counts, found, lost };
    progress.begin({ phase: 'files', from: 0.3, to: 1 }, found.bytes);
    for await (const { row, line } of joined(rows(), repository.list(manifest))) {
      signal?.throwIfAborted();
      if (!line) {
        lost.push({ fileId: row.id, detail: 'its content was lost before the backup was taken' });
        continue;
      }
      try {
        counts[await putBack(account.id, row, () => repository.openObject(line))]++;
      } catch (error) {
        if (!backupProblems.is(error, 'damaged')) throw error;
        lost.push({ fileId: row.id, detail: error.detail });
      }
      progress.add(row.size);
    }
    return { account, ...counts, found, lost };
  } finally {
    rmSync(dirname(scratchPath), { recursive: true, force: true });
  }
}

type FormerFile = Pick<FileRow, 'id' | 'name' | 'size' | 'sha256' | 'visibility'>;

/** An account of the time of the backup, and its files in order of their hashes. */
interface Former {
  readonly id: string;
  readonly email: string;
  readonly files: () => AsyncIterable<FormerFile>;
}

async function readUserBackup(repository: Pick<Repository, 'openObject'>, manifest: Manifest): Promise<Former> {
  const entry = manifest.sealed.find(({ kind }) => kind === 'index');
  if (!entry) throw backupProblems.create('damaged', { detail: 'The backup has no index of its files.' });
  const { account, files } = (await readSealed(repository, entry)) as UserIndex;
  const inOrder = files.toSorted((a, b) => (a.sha256 < b.sha256 ? -1 : a.sha256 > b.sha256 ? 1 : 0));
  return {
    ...account,
    files: async function* () {
      yield* inOrder;
    },
  };
}

async function readSystemBackup(
  { repository, images, scratchPath }: Pick<ReturnHost, 'repository' | 'images' | 'scratchPath'>,
  manifest: Manifest,
  user: string | undefined,
  fileId: string | undefined,
  progress: ProgressReporter,
  signal: AbortSignal | undefined,
): Promise<Former> {
  const [main] = chooseDatabases(manifest, 'main');
  if (!main) throw backupProblems.create('not-found');
  progress.begin({ phase: 'databases', from: 0, to: 0.3 }, main.image.bytes);
  await fetchImage(repository, main, scratchPath, { signal, onBytes: progress.add });
  await assertImage(images, main, scratchPath);
  const then = await images.account(scratchPath, user ?? (await ownerOf(images, scratchPath, fileId)));
  if (!then) throw backupProblems.create('not-found', { detail: 'The backup has no account of that id or address.' });
  return { ...then, files: () => images.files(scratchPath, then.id) };
}

async function ownerOf(images: Pick<DatabaseImages, 'files'>, path: string, fileId: string | undefined) {
  for await (const row of wanted(images.files(path), fileId)) return row.ownerId;
  throw noSuchFile();
}

async function* wanted<Row extends FormerFile>(
  rows: AsyncIterable<Row>,
  fileId: string | undefined,
): AsyncGenerator<Row> {
  for await (const row of rows) if (fileId === undefined || row.id === fileId) yield row;
}

async function totalOf(rows: AsyncIterable<FormerFile>): Promise<{ count: number; bytes: number }> {
  let count = 0;
  let bytes = 0;
  for await (const { size } of rows) {
    count++;
    bytes += size;
  }
  return { count, bytes };
}

function noSuchFile() {
  return backupProblems.create('not-found', { detail: 'The backup has no file of that id.' });
}
