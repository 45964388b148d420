import { hostname } from 'node:os';
import { resolve, sep } from 'node:path';
import type { Config } from './config/load.ts';
import { readStorageUrl } from './config/storage-url.ts';
import { diskRepositoryStore } from './drivers/disk-repository-store.ts';
import { zstdCompressor } from './drivers/zstd-compressor.ts';
import { openRepository, type Repository } from './modules/backups/repository.ts';
import type { KeySettings } from './modules/backups/repository-keys.ts';
import { databaseLocations, locations } from './paths.ts';
import { systemClock } from './ports/clock.ts';
import type { Logger } from './ports/logger.ts';
import type { RepositoryStore } from './ports/repository-store.ts';
import { bucketSettings, type StorageLocation, storageLocation } from './storage.ts';

/** Where the settings say that backups go: `BACKUP_URL`. */
export function backupLocation(config: Config): StorageLocation {
  const place = readStorageUrl(config.backupUrl);
  return place.kind === 'disk' ? { kind: 'disk', root: resolve(place.path) } : place;
}

/** Opens the store of a backup repository; nothing is asked of it yet. */
export async function openRepositoryStore(
  location: StorageLocation,
  config: Config,
  log: Logger,
): Promise<RepositoryStore> {
  if (location.kind === 'disk') return diskRepositoryStore(location);
  const { s3RepositoryStore } = await import('./drivers/s3-repository-store.ts');
  return s3RepositoryStore({ ...bucketSettings(location, config), log });
}

/**
 * Opens the backup repository of the settings.
 * @param keys what its objects are read and written with. Opening with a passphrase takes about a second of one processor, so the
 * server itself opens without: lists, manifests and forgetting need no key.
 */
export async function openBackupRepository(
  config: Config,
  log: Logger,
  keys: KeySettings | null,
): Promise<{ readonly repository: Repository; readonly store: RepositoryStore }> {
  const store = await openRepositoryStore(backupLocation(config), config, log);
  const holder = { host: hostname(), pid: process.pid };
  const repository = await openRepository({
    store,
    clock: systemClock,
    compress: zstdCompressor,
    holder,
    ...(keys ? { keys } : {}),
  });
  return { repository, store };
}

/** The keys that the settings hold. @param identity text of an identity file that somebody gives besides. */
export function backupKeys(config: Config, identity?: string): KeySettings {
  return { passphrase: config.backupPassphrase, recipient: config.backupRecipient, identity };
}

/**
 * Why the place of the backups is no safe one: what destroys the system there would take them along. `null` when nothing speaks
 * against it.
 */
export function findBackupRisk(config: Config): string | null {
  const [backups, storage] = [backupLocation(config), storageLocation(config)];
  if (backups.kind === 's3') {
    if (storage.kind === 'disk' || storage.bucket !== backups.bucket) return null;
    return isWithin(backups.prefix, storage.prefix, '/') || isWithin(storage.prefix, backups.prefix, '/')
      ? 'BACKUP_URL is in the same place of the bucket as the files that it protects: use another bucket, or prefixes side by side'
      : null;
  }
  const { dataDir } = locations(config);
  if (isWithin(backups.root, dataDir, sep)) {
    return 'BACKUP_URL is inside DATA_DIR: deleting that directory deletes the backups too';
  }
  const own = [
    dataDir,
    ...(storage.kind === 'disk' ? [storage.root] : []),
    ...databaseLocations(config).flatMap((database) => (database.kind === 'file' ? [database.path] : [])),
  ];
  if (own.some((path) => isWithin(backups.root, path, sep) || isWithin(path, backups.root, sep))) {
    return 'BACKUP_URL shares its directory with what it protects: use one of its own';
  }
  return null;
}

function isWithin(inner: string, outer: string, separator: string): boolean {
  return (
    inner === outer || outer === '' || inner.startsWith(outer.endsWith(separator) ? outer : `${outer}${separator}`)
  );
}
