import { readFileSync, statSync } from 'node:fs';

/** Unprivileged accounts that systems keep for web servers, the likeliest first. */
const WEB_ACCOUNTS = ['www-data', 'http', 'nginx', 'apache', 'nobody'];

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whom scripts run as. `null` when we are a plain user: then as ourselves. As root never as root, but as the owner of the document
 * root, or as the system's account for web servers when that is root too.
 */
export function choosePhpOwner(root: string): Owner | null {
  if (process.getuid?.() !== 0) return null;
  const info = statSync(root, { throwIfNoEntry: false });
  if (info && info.uid !== 0) return { uid: info.uid, gid: info.gid };
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of WEB_ACCOUNTS) {
    const account = accounts.find(([each]) => each === name);
    if (account) return { uid: Number(account[2]), gid: Number(account[3]) };
  }
  return { uid: 65_534, gid: 65_534 };
}
