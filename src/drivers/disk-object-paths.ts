import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { isKey } from './object-key.ts';
import { isIdentityAlive, ownIdentity } from './process-identity.ts';

/** Stands for `/` and between the parts of a staging name; keys never hold it. */
const SEPARATOR = '~';

export interface ObjectPaths {
  /** Where objects under construction and the marks of unsettled ones are. */
  readonly stagingDirectory: string;
  /** Where objects are that grow over many requests. */
  readonly growingDirectory: string;
  /** Where the object of a key lives: `root/<shard>/<name>`. */
  finalPath(key: string): string;
  /** The directory of {@link finalPath}. */
  shardDirectory(key: string): string;
  /** The staging file of a key that this process puts. */
  stagingPath(key: string): string;
}

/**
 * Where a disk store keeps things below its root. Objects are spread over 256 directories by a CRC-32 of the key; the
 * name there is the key with `~` for `/`. This mapping is the on-disk format: changing it loses every object.
 */
export function objectPaths(root: string): ObjectPaths {
  const stagingDirectory = join(root, '.staging');
  const shardDirectory = (key: string) => join(root, (crc32(key) & 0xff).toString(16).padStart(2, '0'));
  return {
    stagingDirectory,
    growingDirectory: join(root, '.growing'),
    shardDirectory,
    finalPath: (key) => join(shardDirectory(key), toName(key)),
    stagingPath: (key) => join(stagingDirectory, `${ownIdentity}${SEPARATOR}${toName(key)}`),
  };
}

export function isShardName(name: string): boolean {
  return /^[0-9a-f]{2}$/.test(name);
}

export function toName(keyOrPrefix: string): string {
  return keyOrPrefix.replaceAll('/', SEPARATOR);
}

export function fromName(name: string): string {
  return name.replaceAll(SEPARATOR, '/');
}

/** Reads a staging name; `key` is `null` when a file of another kind lies there. */
export function readStagingName(name: string): { readonly isOwnerAlive: boolean; readonly key: string | null } {
  const at = name.indexOf(SEPARATOR);
  const key = at < 0 ? '' : fromName(name.slice(at + 1));
  return { isOwnerAlive: at > 0 && isIdentityAlive(name.slice(0, at)), key: isKey(key) ? key : null };
}
