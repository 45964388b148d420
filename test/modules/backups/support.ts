import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskRepositoryStore } from '../../../src/drivers/disk-repository-store.ts';
import { zstdCompressor } from '../../../src/drivers/zstd-compressor.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import type { DatabaseEntry, Manifest } from '../../../src/modules/backups/manifest.ts';
import { openRepository, type Repository, type RepositoryOptions } from '../../../src/modules/backups/repository.ts';
import type { RepositoryStore } from '../../../src/ports/repository-store.ts';
import { from } from '../../contracts/object-store.ts';
import { type FakeClock, fakeClock } from '../../support/fakes.ts';

/** A repository in a directory of its own. */
export interface TestRepository {
  readonly root: string;
  readonly store: RepositoryStore;
  readonly clock: FakeClock;
  readonly repository: Repository;
  /** Another handle on the same repository. */
  reopen(options?: Partial<RepositoryOptions>): Promise<Repository>;
  remove(): Promise<void>;
}

export async function makeRepository(options: Partial<RepositoryOptions> = {}): Promise<TestRepository> {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-backups-'));
  const root = join(folder, 'repository');
  const store = options.store ?? diskRepositoryStore({ root });
  const clock = fakeClock(Date.parse('2026-03-01T12:00:00.000Z'));
  const reopen = (more: Partial<RepositoryOptions> = {}) =>
    openRepository({ store, compress: zstdCompressor, clock, holder: { host: 'test', pid: 1 }, ...options, ...more });
  const repository = await reopen();
  await repository.initialise();
  return { root, store, clock, repository, reopen, remove: () => rm(folder, { recursive: true, force: true }) };
}

export function sha256Of(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

export interface SnapshotContents {
  readonly blobs?: readonly (Uint8Array | string)[];
  /** By name; text here, since only its hash matters to a repository. */
  readonly databases?: Readonly<Record<string, Uint8Array | string>>;
  readonly secret?: string;
  readonly manifest?: Partial<Manifest>;
}

/** Writes a complete snapshot of what is given. */
export async function writeSnapshot(
  { repository, clock, root }: Pick<TestRepository, 'repository' | 'clock' | 'root'>,
  contents: SnapshotContents = {},
): Promise<Manifest> {
  const { blobs = ['a file', 'another file'], databases = { main: 'an image' }, secret } = contents;
  const lease = await repository.lease('shared', 'a test');
  const lines = [];
  for (const blob of blobs) {
    const name = { kind: 'blob', sha256: sha256Of(blob) } as const;
    lines.push((await repository.findObject(name)) ?? (await repository.writeObject(name, from([Buffer.from(blob)]))));
  }
  lines.sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  const images: DatabaseEntry[] = [];
  for (const [database, image] of Object.entries(databases)) {
    const name = { kind: 'database', database, sha256: sha256Of(image) } as const;
    const entry =
      (await repository.findObject(name)) ?? (await repository.writeObject(name, from([Buffer.from(image)])));
    images.push({ name: database, image: entry, tables: { users: 1 }, migrations: ['0000_start'] });
  }
  const sealed: Manifest['sealed'] = [];
  if (secret !== undefined) {
    const text = JSON.stringify({ secret });
    const name = { kind: 'sealed', sha256: sha256Of(text) } as const;
    sealed.push({ kind: 'secret', ...(await repository.writeObject(name, from([Buffer.from(text)]))) });
  }
  const manifest: Manifest = {
    format: 1,
    id: uuidv7(clock.now()),
    scope: 'system',
    userId: null,
    note: '',
    createdAt: new Date(clock.now()).toISOString(),
    tookMs: 5,
    program: '0.1.0',
    installation: 'here',
    recipient: repository.recipient,
    databases: images,
    blobs: await repository.writeList(iterate(lines), join(root, '../spool')),
    sealed,
    secret: secret === undefined ? 'none' : 'included',
    damaged: [],
    ...contents.manifest,
  };
  await repository.writeManifest(manifest, lease);
  await lease.release();
  return manifest;
}

export async function* iterate<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

export async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(chunks)).toString();
}
