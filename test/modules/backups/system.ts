import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eq } from 'drizzle-orm';
import { databaseImages } from '../../../src/db/database-images.ts';
import { databaseLeases } from '../../../src/db/leases.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import { type DatabaseLocation, openDatabase } from '../../../src/db/registry.ts';
import { users } from '../../../src/db/schema/auth.ts';
import { files } from '../../../src/db/schema/uploads.ts';
import { diskObjectStore } from '../../../src/drivers/disk-object-store.ts';
import { diskRepositoryStore } from '../../../src/drivers/disk-repository-store.ts';
import { zstdCompressor } from '../../../src/drivers/zstd-compressor.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import { type CreateOptions, createBackup } from '../../../src/modules/backups/create.ts';
import type { CreateJob, CreateResult, JobOptions } from '../../../src/modules/backups/jobs.ts';
import type { Manifest } from '../../../src/modules/backups/manifest.ts';
import { openRepository, type Repository } from '../../../src/modules/backups/repository.ts';
import { systemClock } from '../../../src/ports/clock.ts';
import type { Database } from '../../../src/ports/database.ts';
import type { FileRow } from '../../../src/ports/database-images.ts';
import type { ObjectStore } from '../../../src/ports/object-store.ts';
import type { RepositoryStore } from '../../../src/ports/repository-store.ts';
import { from } from '../../contracts/object-store.ts';
import { recordingLog } from '../../support/fakes.ts';

/** A system to be backed up: a database with accounts and files, their objects, and a repository beside it. */
export interface TestSystem {
  readonly root: string;
  readonly dataDir: string;
  readonly location: DatabaseLocation;
  readonly database: Database;
  readonly objects: ObjectStore;
  readonly store: RepositoryStore;
  readonly repository: Repository;
  readonly people: { readonly alice: string; readonly bob: string };
  addFile(ownerId: string, content: string | Uint8Array): Promise<FileRow>;
  removeFile(id: string): Promise<void>;
  create(order?: Partial<CreateJob>, options?: Partial<CreateOptions>, on?: JobOptions): Promise<CreateResult>;
  /** What a snapshot says of itself. */
  manifest(id: string): Promise<Manifest>;
  /** Every file of an image or index, checked against the blobs: @returns ids of the files. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a run is told of the system. */
export const TEST_SETTINGS = {
  secret: { value: 'a secret of the installation', isGenerated: true },
  program: '0.0.0',
  installation: 'here',
  maxRate: null,
};

export async function openSystem(): Promise<TestSystem> {
  const root = await mkdtemp(join(tmpdir(), 'bunkhouse-system-'));
  const dataDir = join(root, 'data');
  await mkdir(dataDir, { recursive: true });
  const location: DatabaseLocation = { kind: 'file', name: 'main', path: join(dataDir, 'main.db'), engine: 'sqlite' };
  const database = await openDatabase(location, { log: recordingLog() });
  await migrate(database, loadMigrations());
  const people = { alice: uuidv7(), bob: uuidv7() };
  for (const [name, id] of Object.entries(people)) {
    const account = { id, email: `${name}@example.org`, name, passwordHash: '-', createdAt: 1, updatedAt: 1 };
    await database.write((tx) => tx.insert(users).values(account));
  }
  const objects = diskObjectStore({ root: join(dataDir, 'objects') });
  const store = diskRepositoryStore({ root: join(root, 'repository') });
  const repository = await openTestRepository(store);
  return {
    root,
    dataDir,
    location,
    database,
    objects,
    store,
    repository,
    people,
    async addFile(ownerId, content) {
      const row = await putObject(objects, ownerId, content);
      await database.write((tx) => tx.insert(files).values(row));
      await objects.settle(row.objectKey);
      return row;
    },
    async removeFile(id) {
      await database.write((tx) => tx.delete(files).where(eq(files.id, id)));
    },
    create: (order = {}, options = {}, on = {}) =>
      createBackup(
        { kind: 'create', id: uuidv7(), scope: 'system', userId: null, note: '', ...order },
        {
          repository,
          images: databaseImages([location]),
          objects,
          clock: systemClock,
          guard: { isHeld: async () => true },
          workDir: join(dataDir, 'backups-work'),
          ...TEST_SETTINGS,
          ...options,
        },
        on,
      ),
    async manifest(id) {
      const found = await repository.find(id);
      if (!found) throw new Error(`there is no backup ${id}`);
      return found;
    },
    async [Symbol.asyncDispose]() {
      await database.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

export function openTestRepository(store: RepositoryStore): Promise<Repository> {
  return openRepository({
    store,
    compress: zstdCompressor,
    clock: systemClock,
    holder: { host: 'test', pid: process.pid },
  });
}

export const leasesOf = (database: Database) => databaseLeases(database, systemClock);

async function putObject(objects: ObjectStore, ownerId: string, content: string | Uint8Array): Promise<FileRow> {
  const id = uuidv7();
  const body = Buffer.from(content);
  const objectKey = `files/${id}/${randomBytes(6).toString('hex')}`;
  await objects.put(objectKey, from([body]));
  const sha256 = createHash('sha256').update(body).digest('hex');
  const times = { createdAt: 1_700_000_000_000, updatedAt: 1_700_000_000_000 };
  const kind = { type: 'text/plain', visibility: 'private' as const };
  return { id, ownerId, name: `${id}.txt`, size: body.length, sha256, objectKey, ...kind, ...times };
}

/** The contents that a snapshot has, by hash. */
export async function contentsOf(repository: Repository, manifest: Manifest): Promise<Map<string, Buffer>> {
  const contents = new Map<string, Buffer>();
  for await (const line of repository.list(manifest)) {
    contents.set(line.sha256, Buffer.concat(await Array.fromAsync(repository.openObject(line))));
  }
  return contents;
}

/** Writes the image of a snapshot's main database to a file. */
export async function restoreImage(repository: Repository, manifest: Manifest, path: string): Promise<void> {
  const entry = manifest.databases.find(({ name }) => name === 'main');
  if (!entry) throw new Error('the backup has no main database');
  await Bun.write(path, new Blob(await Array.fromAsync(repository.openObject(entry.image), (chunk) => chunk.slice())));
}

/** Notes the keys of what is read. */
export function countingReads(objects: ObjectStore): { readonly store: ObjectStore; readonly read: string[] } {
  const read: string[] = [];
  return {
    read,
    store: {
      ...objects,
      get(key, range) {
        read.push(key);
        return objects.get(key, range);
      },
      async read(key, memory) {
        read.push(key);
        return (await objects.read?.(key, memory)) ?? null;
      },
    },
  };
}

/** Ids of the files that the image of a backup names; each must have its content in the backup, else this throws. */
export async function provenFiles(system: TestSystem, id: string): Promise<string[]> {
  const manifest = await system.manifest(id);
  const path = join(system.root, `${id}.sqlite`);
  await restoreImage(system.repository, manifest, path);
  const contents = await contentsOf(system.repository, manifest);
  const ids: string[] = [];
  for await (const file of databaseImages([system.location]).files(path)) {
    if (contents.get(file.sha256)?.length !== file.size) throw new Error(`the backup lacks the content of ${file.id}`);
    ids.push(file.id);
  }
  return ids.sort();
}
