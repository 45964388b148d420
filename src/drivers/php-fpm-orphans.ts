import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Logger } from '../ports/logger.ts';
import { identityOf, isIdentityAlive, ownIdentity } from './process-identity.ts';

/** Who started a php-fpm, and which one it is: names of runs, not mere numbers, which the system gives to others later. */
interface Note {
  readonly server: string;
  readonly phpFpm: string;
  /** Its sockets and logs. */
  readonly runDir: string;
}

const EXTENSION = '.php-fpm.json';

/** Notes that this process has started a php-fpm, for those who start after it. @returns takes the note back. */
export function notePhpFpm(folder: string, pid: number, runDir: string): () => void {
  const phpFpm = identityOf(pid);
  if (phpFpm === null) return () => undefined;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, basename(runDir) + EXTENSION);
  writeFileSync(file, JSON.stringify({ server: ownIdentity, phpFpm, runDir } satisfies Note), { mode: 0o600 });
  return () => rmSync(file, { force: true });
}

/** Ends every php-fpm whose server is gone: one that was killed could not do it itself. Other processes are never touched. */
export function reapOrphans(folder: string, log: Logger): void {
  for (const name of listNotes(folder)) {
    const file = join(folder, name);
    const note = readNote(file);
    if (note && isIdentityAlive(note.server)) continue;
    const pid = Number.parseInt(note?.phpFpm ?? '', 10);
    if (note && pid > 1 && identityOf(pid) === note.phpFpm) {
      // It leads a group of its own, so its children go with it.
      killGroup(pid);
      log.warn({ pid }, 'ended a php-fpm that an earlier server had left behind');
    }
    if (note && /^(?:run|bunkhouse-php)-/.test(basename(note.runDir)))
      rmSync(note.runDir, { recursive: true, force: true });
    rmSync(file, { force: true });
  }
}

/** Ends a process that leads a group, and all in it, at once. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left in it.
  }
}

function listNotes(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(EXTENSION));
  } catch {
    return [];
  }
}

function readNote(file: string): Note | null {
  try {
    const { server, phpFpm, runDir } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Note>;
    const isNote = [server, phpFpm, runDir].every((value) => typeof value === 'string');
    return isNote ? ({ server, phpFpm, runDir } as Note) : null;
  } catch {
    return null;
  }
}
