import { realpath } from 'node:fs/promises';
import { sep } from 'node:path';
import type { ByteRange } from '../ports/object-store.ts';
import { cachePolicyOf } from './cache-policy.ts';
import type { Representation } from './file-response.ts';
import { mediaTypeOf } from './media-types.ts';

/** A regular file that may be sent. */
export interface OpenedFile {
  /** Bytes. */
  readonly size: number;
  /** Last change, in milliseconds since the epoch, with fractions where the file system has them. */
  readonly mtimeMs: number;
  /** The bytes, or an inclusive range inside them; may be called more than once. */
  open(range?: ByteRange): Blob | ReadableStream<Uint8Array>;
}

/**
 * Looks at the file under an absolute path that holds no symbolic link. `null` when there is none or it is no regular
 * file; MUST NOT wait on pipes or devices. Other failures of the file system are thrown.
 */
export type OpenFile = (path: string) => Promise<OpenedFile | null>;

/** A file of a folder that is served, with the validators and the cache policy that its name and its state on disk give. */
export function representFile(
  name: string,
  file: OpenedFile,
  headers: Readonly<Record<string, string>> = {},
): Representation {
  return {
    size: file.size,
    type: mediaTypeOf(name),
    etag: `"${file.size.toString(36)}-${Math.round(file.mtimeMs * 1000).toString(36)}"`,
    lastModified: file.mtimeMs,
    headers: { 'cache-control': cachePolicyOf(name), ...headers },
    open: async (range?: ByteRange) => file.open(range),
  };
}

/** The path without symbolic links; `null` when nothing can be there. */
export async function realPathOf(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch (error) {
    if (MISSING.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EACCES', 'EINVAL']);

/** Whether a path lies below a directory; both without symbolic links. */
export function isBelow(path: string, directory: string): boolean {
  return path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}
