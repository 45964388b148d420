import { rm, stat } from 'node:fs/promises';
import { databaseProblems } from '../kernel/problems.ts';
import type { AccountRow, DatabaseImages, FileRow, ImageReport } from '../ports/database-images.ts';
import { type ImageFile, requireRoom } from './image-file.ts';
import { runImageTask } from './image-process.ts';
import { readRows } from './image-rows.ts';
import { withWriteback } from './image-writeback.ts';
import type { DatabaseLocation } from './registry.ts';
import { readRemoteAccount, readRemoteFiles } from './remote-rows.ts';

/**
 * Images of the databases at these places. One on a server is dumped by it, a replica's primary too. Every file is opened with the library that the server uses on it, in a process other
 * than the server's (`docs/decisions/embedded-engine.md`). Call it from such a process only.
 */
export function databaseImages(locations: readonly DatabaseLocation[]): DatabaseImages {
  const find = (name: string): DatabaseLocation => {
    const location = locations.find((candidate) => candidate.name === name);
    if (!location) throw new Error(`there is no database ${name}`);
    return location;
  };
  const fileOf = (name: string): ImageFile => {
    const location = find(name);
    if (location.kind !== 'file') throw databaseProblems.create('unavailable');
    return location;
  };
  /** An image as its database's library opens it. */
  const imageOf = (path: string, name = 'main'): ImageFile => {
    const location = locations.find((candidate) => candidate.name === name);
    return location?.kind === 'file' ? { ...location, path } : { path, engine: 'sqlite' };
  };

  const sized = locations.filter(({ kind }) => kind !== 'memory');

  return {
    names: sized.map(({ name }) => name),
    withoutImage: locations.filter(({ kind }) => kind === 'memory').map(({ name }) => name),
    sizes: () =>
      Promise.all(
        sized.map(async (location) => {
          const bytes = location.kind === 'file' ? (await stat(location.path)).size : 0;
          return { name: location.name, bytes };
        }),
      ),
    async take(name, path, signal) {
      const source = find(name);
      if (source.kind === 'memory') throw databaseProblems.create('unavailable');
      if (source.kind === 'file') await requireRoom(source.path, path);
      try {
        // A replica may be behind; its primary knows whose lease is held since when.
        const task = source.kind === 'remote' ? { load: source, target: path } : { copy: source, target: path };
        await withWriteback(path, runImageTask(task, signal));
      } catch (error) {
        for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(`${path}${suffix}`, { force: true });
        throw error;
      }
    },
    inspect: async (path, name, signal) =>
      (await runImageTask({ inspect: imageOf(path, name) }, signal)) as ImageReport,
    files: (path, ownerId) => readFiles(imageOf(path), ownerId),
    async fileTotals(path) {
      const sql = 'SELECT count(*) AS count, coalesce(sum(size), 0) AS bytes FROM files';
      const [totals] = await Array.fromAsync(
        readRows<{ count: number; bytes: number }>(imageOf(path), { table: 'files', sql, args: [] }),
      );
      return totals ?? { count: 0, bytes: 0 };
    },
    liveFiles(ownerId) {
      const main = find('main');
      return main.kind === 'remote' ? readRemoteFiles(main, FILE_COLUMNS, ownerId) : readFiles(fileOf('main'), ownerId);
    },
    account: (path, idOrEmail) => readAccount(imageOf(path), idOrEmail),
    async liveAccount(idOrEmail) {
      const main = find('main');
      return main.kind === 'remote'
        ? readRemoteAccount(main, ACCOUNT, idOrEmail)
        : readAccount(fileOf('main'), idOrEmail);
    },
  };
}

const ACCOUNT = 'SELECT id, email, name, created_at AS createdAt FROM users WHERE id = ?1 OR email = ?1';
const FILE_COLUMNS = `id, owner_id AS ownerId, name, size, sha256, type, visibility, object_key AS objectKey,
  created_at AS createdAt, updated_at AS updatedAt`;

async function* readFiles(file: ImageFile, ownerId: string | undefined): AsyncGenerator<FileRow> {
  const filter = ownerId === undefined ? '' : 'WHERE owner_id = ?';
  yield* readRows<FileRow>(file, {
    table: 'files',
    sql: `SELECT ${FILE_COLUMNS} FROM files ${filter} ORDER BY sha256, id`,
    args: ownerId === undefined ? [] : [ownerId],
  });
}

async function readAccount(file: ImageFile, idOrEmail: string): Promise<AccountRow | null> {
  for await (const row of readRows<AccountRow>(file, { table: 'users', sql: ACCOUNT, args: [idOrEmail] })) return row;
  return null;
}
