import { resolve } from 'node:path';
import type { Config } from './config/load.ts';
import { readStorageUrl } from './config/storage-url.ts';
import { diskIntake } from './drivers/disk-intake.ts';
import { diskObjectStore } from './drivers/disk-object-store.ts';
import { diskResumableStore } from './drivers/disk-resumable-store.ts';
import { locations } from './paths.ts';
import type { Logger } from './ports/logger.ts';
import type { ObjectStore } from './ports/object-store.ts';
import type { ResumableStore } from './ports/resumable-store.ts';

/** Where objects are, with every path settled. */
export type StorageLocation =
  | { readonly kind: 'disk'; readonly root: string }
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string };

/** Where the settings say that files are kept: `STORAGE_URL`, else the bucket of `BUCKET_NAME`, else below the data folder. */
export function storageLocation(config: Config): StorageLocation {
  if (config.storageUrl !== undefined) {
    const place = readStorageUrl(config.storageUrl);
    return place.kind === 'disk' ? { kind: 'disk', root: resolve(place.path) } : place;
  }
  if (config.bucketName !== undefined) return { kind: 's3', bucket: config.bucketName, prefix: '' };
  return { kind: 'disk', root: resolve(locations(config).dataDir, 'objects') };
}

/** What a place holds: objects, and those that still grow. */
export interface Storage {
  readonly objects: ObjectStore;
  readonly resumable: ResumableStore;
}

/** Opens the stores of a place; nothing is asked of it yet. The SDK of S3 is loaded for a bucket alone: it is a third of the start. */
export async function openStorage(location: StorageLocation, config: Config, log: Logger): Promise<Storage> {
  if (location.kind === 'disk') {
    const options = { root: location.root, intake: diskIntake() };
    return { objects: diskObjectStore(options), resumable: diskResumableStore(options) };
  }
  const { s3Stores } = await import('./drivers/s3-stores.ts');
  return s3Stores({ ...bucketSettings(location, config), log });
}

/** How a bucket is reached. */
export function bucketSettings({ bucket, prefix }: Extract<StorageLocation, { kind: 's3' }>, config: Config) {
  return {
    bucket,
    prefix,
    region: config.awsRegion,
    endpoint: config.awsEndpoint,
    isPathStyle: config.s3ForcePathStyle === 'true',
    accessKeyId: config.awsAccessKeyId,
    secretAccessKey: config.awsSecretAccessKey,
  };
}
