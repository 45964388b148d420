import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Owner } from './php-fpm-owner.ts';

const READ = 4;
const ENTER = 1;

/**
 * The outermost folder that keeps an account from a file or folder, and what it lacks there, judged by the mode bits alone; `null` when
 * nothing does. php-fpm says "File not found" of both a script that is missing and one that it may not read.
 */
export function findBarrier(
  path: string,
  owner: Owner,
): { readonly path: string; readonly lacks: 'r' | 'x' | 'rx' } | null {
  const folders: string[] = [];
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    folders.unshift(folder);
    if (folder === dirname(folder)) break;
  }
  for (const folder of folders) {
    if (!allows(folder, owner, ENTER)) return { path: folder, lacks: 'x' };
  }
  const info = statSync(path, { throwIfNoEntry: false });
  if (!info) return null;
  const canRead = allows(path, owner, READ);
  const canEnter = !info.isDirectory() || allows(path, owner, ENTER);
  if (canRead && canEnter) return null;
  return { path, lacks: canRead ? 'x' : canEnter ? 'r' : 'rx' };
}

function allows(path: string, { uid, gid }: Owner, right: number): boolean {
  const info = statSync(path, { throwIfNoEntry: false });
  if (!info) return true;
  const bits = info.uid === uid ? info.mode >> 6 : info.gid === gid ? info.mode >> 3 : info.mode;
  return (bits & right) !== 0;
}
