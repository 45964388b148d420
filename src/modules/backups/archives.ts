import type { RepositoryStore } from '../../ports/repository-store.ts';
import { type ArchivedFile, archivePath, packed, type TarFile, writeArchive } from './archive.ts';
import type { ListLine } from './blob-list.ts';
import { damaged } from './codec.ts';
import { type Manifest, objectsOf, toManifestKey } from './manifest.ts';
import { backupProblems } from './problems.ts';
import type { Repository } from './repository.ts';
import type { UserIndex } from './user-index.ts';

/** A backup as one tar: a user's as an archive that anybody can read, the system's as a repository with this backup alone. */
export async function toArchive(
  repository: Repository,
  store: RepositoryStore,
  manifest: Manifest,
  files: readonly string[] | undefined,
): Promise<ReadableStream<Uint8Array>> {
  return manifest.scope === 'user'
    ? userArchive(repository, manifest, files)
    : systemArchive(repository, store, manifest);
}

/** @throws backups/needs-key when it cannot be decrypted here; backups/damaged. */
async function userArchive(
  repository: Repository,
  manifest: Manifest,
  wanted: readonly string[] | undefined,
): Promise<ReadableStream<Uint8Array>> {
  if (!repository.canRead(manifest)) throw backupProblems.create('needs-key');
  const { account, files } = await readIndex(repository, manifest);
  const contents = new Map<string, ListLine>();
  for await (const line of repository.list(manifest)) contents.set(line.sha256, line);
  const chosen = wanted && new Set(wanted);
  const listed = files
    // What was lost before the backup was taken is not in it.
    .filter(({ id, sha256 }) => contents.has(sha256) && (!chosen || chosen.has(id)))
    .map((file): ArchivedFile => ({ path: archivePath(file.id, file.name), ...file }));
  const { email, name, createdAt } = account;
  const index = {
    format: 1,
    kind: 'bunkhouse-user-backup',
    createdAt: manifest.createdAt,
    account: { email, name, createdAt },
    files: listed,
  } as const;
  return writeArchive(index, ({ sha256 }) => repository.openObject(contents.get(sha256) as ListLine));
}

async function readIndex(repository: Repository, manifest: Manifest): Promise<UserIndex> {
  const entry = manifest.sealed.find(({ kind }) => kind === 'index');
  if (!entry) throw damaged({ key: toManifestKey(manifest) }, 'it names no index');
  const chunks: Uint8Array[] = [];
  for await (const chunk of repository.openObject(entry)) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString()) as UserIndex;
}

/** The objects as they are kept, the manifest last, so that a tar that was cut off holds no backup rather than half of one. */
async function systemArchive(
  repository: Repository,
  store: RepositoryStore,
  manifest: Manifest,
): Promise<ReadableStream<Uint8Array>> {
  async function* keys(): AsyncGenerator<string> {
    for (const key of ['repository.json', 'key.age']) if (await store.stat(key)) yield key;
    for (const { key } of objectsOf(manifest)) yield key;
    for await (const { key } of repository.list(manifest)) yield key;
    yield toManifestKey(manifest);
  }
  async function* objects(): AsyncGenerator<TarFile> {
    for await (const key of keys()) {
      const info = await store.stat(key);
      const body = info && (await store.get(key));
      if (!info || !body) throw damaged({ key }, 'it is missing');
      yield { name: key, size: info.bytes, mtime: new Date(info.modifiedAt), body };
    }
  }
  return packed(objects);
}
