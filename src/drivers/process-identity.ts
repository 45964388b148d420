import { readFileSync, readlinkSync } from 'node:fs';
import { randomToken } from '../kernel/ids.ts';

/**
 * Names one run of one process, so that what a crashed process left can be told from what a living one is using.
 *
 * On Linux the name is pid, start time (`/proc/<pid>/stat` field 22, in clock ticks since boot) and boot: in a container
 * every run may be pid 1, and two boots may start it at the same tick. Elsewhere it is the pid and a random part, and a
 * foreign run counts as alive while any process has its pid.
 */
export const ownIdentity: string = identityOf(process.pid) ?? `${process.pid}-${randomToken(6).replace(/[-_]/g, 'x')}`;

/** Whether the run of that name is still alive on this machine; a text that is no such name never is. */
export function isIdentityAlive(identity: string): boolean {
  if (identity === ownIdentity) return true;
  const pid = Number(/^(\d{1,10})-/.exec(identity)?.[1] ?? 0);
  // Our own pid under another name is an earlier run.
  if (pid === 0 || pid === process.pid) return false;
  if (identityOf(process.pid) !== null) return identityOf(pid) === identity;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** {@link ownIdentity} with the space in which its pid counts, for names that processes elsewhere read as well. */
export const ownGlobalIdentity: string = `${ownIdentity}${pidSpace()}`;

/**
 * Whether the run of that {@link ownGlobalIdentity} is known to be over. `false` for one of another machine, another container or
 * an earlier boot, which cannot be looked at from here.
 */
export function isKnownDead(globalIdentity: string): boolean {
  const space = pidSpace();
  if (space === '' || !globalIdentity.endsWith(space)) return false;
  return !isIdentityAlive(globalIdentity.slice(0, -space.length));
}

/** Boot and pid namespace of this process; empty where they cannot be told. */
function pidSpace(): string {
  try {
    return `@${bootId()}@${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8);
}

/** The Linux form of the name; `null` where `/proc` does not tell or there is no such process. */
export function identityOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command, field 2, stands in parentheses and may itself hold blanks and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const boot = bootId();
    const startTicks = fields[22 - 3];
    return startTicks === undefined ? null : `${pid}-${startTicks}-${boot}`;
  } catch {
    return null;
  }
}
