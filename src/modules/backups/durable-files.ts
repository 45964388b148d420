import {
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Makes the entries of a directory durable: a name survives power loss only after this. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** A directory for its owner alone, with those above it. */
export function makeDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/**
 * Writes a small file whole or not at all, durable when it returns. When it throws, the file may be there all the same.
 * @param onNamed called when the file is at its place, and may be lost again by a power loss.
 */
export function writeDurably(path: string, text: string, onNamed: () => void = () => undefined): void {
  const draft = `${path}.draft`;
  const file = openSync(draft, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
  onNamed();
  syncDirectory(dirname(path));
}

/**
 * Moves a file; across file systems it is copied, made durable and only then given its name. The caller makes the names durable.
 */
export function moveFile(from: string, to: string, rename: (from: string, to: string) => void = renameSync): void {
  try {
    rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    copyDurably(from, to);
    rmSync(from);
  }
}

function copyDurably(from: string, to: string): void {
  const draft = `${to}.draft`;
  copyFileSync(from, draft, constants.COPYFILE_FICLONE);
  const file = openSync(draft, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, to);
}
