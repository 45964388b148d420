import { stat } from 'node:fs/promises';
import type { ByteRange } from '../ports/object-store.ts';

/**
 * Opens public files as slices of `Bun.file`, which Bun sends from the page cache without reading them into memory.
 * Fits the `OpenFile` port of the gateway and of the docs.
 *
 * @returns `null` for what is missing, is unreadable or is no regular file.
 */
export async function openStaticFile(path: string) {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EACCES') return null;
    throw error;
  });
  if (!info?.isFile()) return null;
  return {
    size: info.size,
    mtimeMs: info.mtimeMs,
    open: (range?: ByteRange): Blob => Bun.file(path).slice(range?.first ?? 0, (range?.last ?? info.size - 1) + 1),
  };
}
