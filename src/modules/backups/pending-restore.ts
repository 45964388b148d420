import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Logger } from '../../ports/logger.ts';
import { makeDirectory, moveFile, syncDirectory, writeDurably } from './durable-files.ts';

/**
 * A restore that is complete at a side path and waits for the next start. Everything that is replaced is a file, and what comes
 * in its place waits in a directory beside it, so that a rename suffices; what was there is kept in another directory beside it.
 */
export interface PendingRestore {
  readonly format: 1;
  /** Of this restore: names the side path. */
  readonly id: string;
  /** The backup that it came from. */
  readonly snapshot: string;
  readonly createdAt: string;
  /** `pre-restore-<stamp>`: where the old files go. */
  readonly keepName: string;
  /** `keep` while what is at the final paths is old, `place` once all of that has been put away. */
  readonly phase: 'keep' | 'place';
  readonly pieces: readonly Piece[];
}

export interface Piece {
  readonly kind: 'database' | 'secret';
  /** The final path, relative to the data folder. */
  readonly path: string;
  readonly bytes: number;
}

/** What became of a restore at a start. */
export type SwapOutcome =
  | { readonly status: 'none' }
  /** Done; the old files are in these directories. */
  | { readonly status: 'swapped'; readonly snapshot: string; readonly keptIn: readonly string[] }
  /** Another process has a database open that would be replaced: it goes on waiting. */
  | { readonly status: 'in-use'; readonly snapshot: string }
  /** What should have been put in place is not there or not whole; the old state was left as it was. */
  | { readonly status: 'void'; readonly snapshot: string };

export interface SwapOptions {
  readonly dataDir: string;
  /**
   * Gets a database file for this process alone; `null` when another one has it open. What is returned lets go of it. A file that
   * is no database is nobody's.
   */
  readonly claim: (path: string) => (() => void) | null;
  /** How long to wait for those that have the databases open, in milliseconds. */
  readonly patienceMs?: number;
  /** Hears the name of each step before it is done. */
  readonly onStep?: (step: string) => void;
}

const MARKER = 'restore.pending.json';
const LOCK = 'restore.lock';
/** A file and what SQLite keeps beside it. The file goes first: what is left of a database without it means nothing to anybody. */
const BESIDE = ['', '-wal', '-shm', '-journal'];

/** Where the new file of a final path waits. */
export function sidePath(finalPath: string, restoreId: string): string {
  return join(dirname(finalPath), `restore-${restoreId}`, basename(finalPath));
}

/** The restore that waits for the next start. Throws when the note of it is not readable. */
export function readPendingRestore(dataDir: string): PendingRestore | null {
  const path = join(dataDir, MARKER);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const pending = JSON.parse(text) as PendingRestore;
    if (pending.format === 1 && Array.isArray(pending.pieces)) return pending;
  } catch {
    // Said below.
  }
  throw new Error(`${path} is not readable: move it away to start with the data as it is`);
}

/** Whether objects of the restored state must not be deleted, though the present one does not name them. */
export function isRestorePending(dataDir: string): boolean {
  return existsSync(join(dataDir, MARKER));
}

/** From now on the next start swaps. One that was pending is given up. */
export function writePendingRestore(
  dataDir: string,
  {
    id,
    snapshot,
    pieces,
  }: Pick<PendingRestore, 'id' | 'snapshot'> & { readonly pieces: readonly Omit<Piece, 'bytes'>[] },
  now: Date,
): void {
  const before = readPendingRestore(dataDir);
  if (before?.phase === 'place') throw new Error('an earlier restore is being put in place; start the server first');
  const pending: PendingRestore = {
    format: 1,
    id,
    snapshot,
    createdAt: now.toISOString(),
    keepName: `pre-restore-${now.toISOString().replaceAll(/[-:]/g, '')}`,
    phase: 'keep',
    pieces: pieces.map(({ kind, path }) => {
      const { size: bytes } = statSync(sidePath(resolve(dataDir, path), id));
      return { kind, path: relative(dataDir, resolve(dataDir, path)), bytes };
    }),
  };
  writeMarker(dataDir, pending);
  if (before) removeSides(dataDir, before);
}

/** Gives a restore up that waits. @returns whether there was one. */
export function withdrawPendingRestore(dataDir: string): boolean {
  const pending = readPendingRestore(dataDir);
  if (!pending) return false;
  if (pending.phase === 'place') throw new Error('the restore is being put in place already; start the server');
  giveBack(dataDir, pending);
  rmSync(join(dataDir, MARKER));
  syncDirectory(dataDir);
  removeSides(dataDir, pending);
  return true;
}

/**
 * Puts a pending restore in place. It is called before any database is opened, and may be killed at any point: called again, it
 * goes on. Until every old file has been put away the old state can be given back; from then on the new one is completed.
 */
export async function applyPendingRestore(options: SwapOptions): Promise<SwapOutcome> {
  const { dataDir, claim, patienceMs = 5_000 } = options;
  const deadline = Date.now() + patienceMs;
  const lock = join(dataDir, LOCK);
  for (;;) {
    const seen = readPendingRestore(dataDir);
    if (!seen) {
      removeLock(lock);
      return { status: 'none' };
    }
    const release = claim(lock);
    if (release) {
      try {
        const pending = readPendingRestore(dataDir);
        if (!pending) return { status: 'none' };
        const outcome = swap(pending, options);
        if (outcome) return outcome;
      } finally {
        if (!isRestorePending(dataDir)) removeLock(lock);
        release();
      }
    }
    if (Date.now() > deadline) return { status: 'in-use', snapshot: seen.snapshot };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Tells operators what became of it. */
export function reportSwap(outcome: SwapOutcome, log: Logger): void {
  if (outcome.status === 'none') return;
  const { snapshot } = outcome;
  if (outcome.status === 'swapped') {
    log.warn({ snapshot, keptIn: outcome.keptIn }, 'the restored data is in place; what was there before is kept');
  } else if (outcome.status === 'in-use') {
    log.warn({ snapshot }, 'a restore waits until no other process has the databases open; the data is as it was');
  } else {
    log.error({ snapshot }, 'a restore was to be put in place, but its files are not whole; the data is as it was');
  }
}

/** @returns null when a file is in use. */
function swap(pending: PendingRestore, { dataDir, claim, onStep = () => undefined }: SwapOptions): SwapOutcome | null {
  const { snapshot } = pending;
  if (pending.phase === 'keep') {
    const claims = claimAll(databasePaths(dataDir, pending), claim);
    if (!claims) return null;
    try {
      if (!isWhole(dataDir, pending)) {
        onStep('void');
        giveBack(dataDir, pending);
        moveFile(join(dataDir, MARKER), join(dataDir, `restore.void-${pending.id}.json`));
        syncDirectory(dataDir);
        return { status: 'void', snapshot };
      }
      try {
        putAway(dataDir, pending, onStep);
        onStep('note that the old files are away');
        writeMarker(dataDir, { ...pending, phase: 'place' }, () => onStep('make that note durable'));
      } catch (error) {
        // The note may say `place` already: with it the next start would put new files over those that are given back.
        if (readPendingRestore(dataDir)?.phase !== 'keep') writeMarker(dataDir, pending);
        giveBack(dataDir, pending);
        throw error;
      }
    } finally {
      for (const release of claims) release();
    }
  }
  putInPlace(dataDir, pending, onStep);
  onStep('remove the side path');
  removeSides(dataDir, pending);
  onStep('remove the note');
  rmSync(join(dataDir, MARKER), { force: true });
  syncDirectory(dataDir);
  onStep('done');
  return { status: 'swapped', snapshot, keptIn: keepDirectories(dataDir, pending).filter((path) => existsSync(path)) };
}

function putAway(dataDir: string, pending: PendingRestore, onStep: (step: string) => void): void {
  for (const path of finalPaths(dataDir, pending)) {
    const keep = keepPath(path, pending);
    for (const suffix of BESIDE) {
      if (!existsSync(`${path}${suffix}`)) continue;
      makeDirectory(dirname(keep));
      onStep(`put ${basename(path)}${suffix} away`);
      // A kept one is never overwritten: whoever made another file here meanwhile will want it.
      moveFile(`${path}${suffix}`, freeName(`${keep}${suffix}`));
    }
  }
  for (const directory of keepDirectories(dataDir, pending)) {
    if (existsSync(directory)) syncDirectory(directory);
    syncDirectory(dirname(directory));
  }
}

function putInPlace(dataDir: string, pending: PendingRestore, onStep: (step: string) => void): void {
  for (const path of finalPaths(dataDir, pending)) {
    const from = sidePath(path, pending.id);
    if (existsSync(from)) {
      onStep(`put ${basename(path)} in place`);
      moveFile(from, path);
      syncDirectory(dirname(path));
    } else if (!existsSync(path)) {
      throw new Error(`${from}, which the restore was to put in place, is gone`);
    }
  }
}

/** Moves old files back to where they were. */
function giveBack(dataDir: string, pending: PendingRestore): void {
  for (const path of finalPaths(dataDir, pending)) {
    const keep = keepPath(path, pending);
    for (const suffix of BESIDE.toReversed()) {
      if (existsSync(`${keep}${suffix}`) && !existsSync(`${path}${suffix}`))
        moveFile(`${keep}${suffix}`, `${path}${suffix}`);
    }
    syncDirectory(dirname(path));
  }
}

function isWhole(dataDir: string, { id, pieces }: PendingRestore): boolean {
  return pieces.every(({ path, bytes }) => {
    const info = statSync(sidePath(resolve(dataDir, path), id), { throwIfNoEntry: false });
    return info?.size === bytes;
  });
}

function claimAll(paths: readonly string[], claim: SwapOptions['claim']): (() => void)[] | null {
  const claims: (() => void)[] = [];
  for (const path of paths) {
    if (!existsSync(path)) continue;
    const release = claim(path);
    if (!release) {
      for (const each of claims) each();
      return null;
    }
    claims.push(release);
  }
  return claims;
}

function writeMarker(dataDir: string, pending: PendingRestore, onNamed?: () => void): void {
  writeDurably(join(dataDir, MARKER), `${JSON.stringify(pending, null, 2)}\n`, onNamed);
}

function removeLock(path: string): void {
  for (const suffix of BESIDE) rmSync(`${path}${suffix}`, { force: true });
}

function removeSides(dataDir: string, pending: PendingRestore): void {
  for (const path of finalPaths(dataDir, pending)) {
    rmSync(dirname(sidePath(path, pending.id)), { recursive: true, force: true });
  }
}

function finalPaths(dataDir: string, { pieces }: PendingRestore): string[] {
  return pieces.map(({ path }) => resolve(dataDir, path));
}

function databasePaths(dataDir: string, pending: PendingRestore): string[] {
  return finalPaths(dataDir, { ...pending, pieces: pending.pieces.filter(({ kind }) => kind === 'database') });
}

function keepPath(path: string, { keepName }: PendingRestore): string {
  return join(dirname(path), keepName, basename(path));
}

function keepDirectories(dataDir: string, pending: PendingRestore): string[] {
  return [...new Set(finalPaths(dataDir, pending).map((path) => dirname(keepPath(path, pending))))];
}

function freeName(path: string): string {
  for (let number = 2, name = path; ; number++) {
    if (!existsSync(name)) return name;
    name = `${path}.${number}`;
  }
}
