import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ObjectStore } from '../../ports/object-store.ts';
import type { JobOptions } from './jobs.ts';
import type { Manifest } from './manifest.ts';
import { sidePath } from './pending-restore.ts';
import { backupProblems } from './problems.ts';
import { createProgress } from './progress.ts';
import { assertKnown, chooseDatabases, type RestoreHost, type RestoreTarget } from './restore.ts';
import { assertImage, fetchImage } from './restored-images.ts';
import { joined, sizeOf } from './restored-objects.ts';

/** What a restore would change. */
export interface RestorePlan {
  readonly snapshot: string;
  readonly createdAt: string;
  /** Version that made the backup. */
  readonly program: string;
  readonly databases: readonly PlannedDatabase[];
  /** Migrations of this version that the backup does not have yet. */
  readonly migrations: readonly string[];
  /** `null` when the main database is not restored. */
  readonly files: PlannedFiles | null;
  readonly secret: Manifest['secret'];
}

export interface PlannedDatabase {
  readonly name: string;
  /** Where it goes; `null` for one that cannot be put in place here. */
  readonly path: string | null;
  readonly bytes: number;
  /** Tables whose rows would not be as many as they are; null for a table, or database, that is not there. */
  readonly changes: readonly {
    readonly table: string;
    readonly rowsNow: number | null;
    readonly rowsThen: number | null;
  }[];
}

export interface PlannedFiles {
  readonly count: number;
  readonly bytes: number;
  /** Are not in the object store, or have another size there, and would be put there. */
  readonly missing: { readonly count: number; readonly bytes: number };
  /** Were lost before the backup was taken. */
  readonly lost: number;
}

/**
 * What a restore would do, without changing anything. The main database is fetched to a scratch directory meanwhile.
 * @throws backups/* as the restore would before its first change.
 */
export async function planRestore(
  { repository, images, knownMigrations }: Pick<RestoreHost, 'repository' | 'images' | 'knownMigrations'>,
  target: Omit<RestoreTarget, 'objects'> & { readonly objects: Pick<ObjectStore, 'get'> },
  {
    id,
    manifest,
    database,
  }: { readonly id: string; readonly manifest: Manifest; readonly database?: string | undefined },
  { onProgress = () => undefined, signal }: JobOptions = {},
): Promise<RestorePlan> {
  const entries = chooseDatabases(manifest, database);
  assertKnown(manifest, knownMigrations);
  if (!repository.canRead(manifest)) throw backupProblems.create('needs-key');
  const databases: PlannedDatabase[] = [];
  for (const { name, image, tables } of entries) {
    const path = target.databasePath(name);
    const now = path !== null && existsSync(path) ? (await images.inspect(path, name)).tables : {};
    const changes = [...new Set([...Object.keys(now), ...Object.keys(tables)])]
      .map((table) => ({ table, rowsNow: now[table] ?? null, rowsThen: tables[table] ?? null }))
      .filter((change) => change.rowsNow !== change.rowsThen);
    databases.push({ name, path, bytes: image.bytes, changes });
  }
  const main = entries.find(({ name }) => name === 'main');
  const { createdAt, program, secret } = manifest;
  const common = { snapshot: manifest.id, createdAt, program, databases };
  if (!main) return { ...common, migrations: [], files: null, secret: 'none' };

  const scratch = sidePath(join(target.dataDir, 'main.db'), id);
  const progress = createProgress(onProgress);
  try {
    progress.begin({ phase: 'databases', from: 0, to: 0.5 }, main.image.bytes);
    await fetchImage(repository, main, scratch, { signal, onBytes: progress.add });
    await assertImage(images, main, scratch);
    progress.begin({ phase: 'files', from: 0.5, to: 1 }, manifest.blobs.bytes);
    const files = { count: 0, bytes: 0, missing: { count: 0, bytes: 0 }, lost: 0 };
    for await (const { row, line } of joined(images.files(scratch), repository.list(manifest))) {
      signal?.throwIfAborted();
      files.count++;
      files.bytes += row.size;
      if (!line) files.lost++;
      else if ((await sizeOf(target.objects, row.objectKey)) !== row.size) {
        files.missing.count++;
        files.missing.bytes += row.size;
      }
      progress.add(row.size);
    }
    const migrations = knownMigrations.filter((name) => !main.migrations.includes(name));
    return { ...common, migrations, files, secret: database === undefined ? secret : 'none' };
  } finally {
    rmSync(dirname(scratch), { recursive: true, force: true });
  }
}
