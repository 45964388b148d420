import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where Debian and others put it; often not on the path of a plain user. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin'];

/**
 * The php-fpm of this machine: one called `php-fpm`, else the newest that carries its version in its name (`php-fpm8.2`).
 * @param path folders to look through first, as in `PATH`.
 */
export function findPhpFpm(path: string): string | null {
  const versioned = new Map<number, string>();
  const named = path.split(delimiter).filter((part) => part !== '');
  for (const folder of new Set([...named, ...SYSTEM_FOLDERS])) {
    for (const name of listFolder(folder)) {
      const match = /^php-fpm(\d+(?:\.\d+)?)?$/.exec(name);
      if (!match || !isProgram(join(folder, name))) continue;
      if (match[1] === undefined) return join(folder, name);
      const version = Number(match[1].includes('.') ? match[1] : `${match[1][0]}.${match[1].slice(1)}`);
      if (!versioned.has(version)) versioned.set(version, join(folder, name));
    }
  }
  return versioned.get(Math.max(...versioned.keys())) ?? null;
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.startsWith('php-fpm'));
  } catch {
    return [];
  }
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
