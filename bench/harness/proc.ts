import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';

/**
 * Figures of a running process from Linux's /proc (proc(5)): what the kernel counted, not what the process says of itself.
 */

/** Clock ticks a second; USER_HZ is 100 on every Linux that Bun runs on. */
const TICKS_PER_SECOND = 100;

/** CPU time that all threads of the process have used since it started, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the command in brackets and may hold blanks; what follows is plain. utime and stime are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** CPU time that anybody has used on this machine since it started, time that its host took away included, in seconds. */
export function machineCpuSeconds(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

/** Resident memory now, in bytes. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, 'VmRSS');
}

/** Most resident memory since the start or the last `resetPeak`, in bytes. */
export function peakResidentBytes(pid: number): number {
  return statusBytes(pid, 'VmHWM');
}

/** Makes the kernel forget the peak so far (proc(5), clear_refs, value 5). */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** Programs that start the server and wait for it. */
const WRAPPERS = ['sh', 'dash', 'bash', 'taskset'];

/** The process that does the work: a wrapper script may stand before the server, which may have children of its own. */
export function innermostChild(pid: number): number {
  const [only, ...more] = childrenOf(pid);
  const isWrapper = WRAPPERS.includes(readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
  return isWrapper && only !== undefined && more.length === 0 ? innermostChild(only) : pid;
}

/** The one process that a supervisor keeps at work; itself while there is none. */
export function workerOf(pid: number): number {
  return childrenOf(pid)[0] ?? pid;
}

/** The process that listens on the port: the one that was started or, behind a wrapper script, the first of its descendants. */
export function listeningProcess(pid: number, port: number): number | undefined {
  const [address, inode] = [`:${port.toString(16).toUpperCase().padStart(4, '0')}`, 9];
  const isListening = (fields: readonly string[]) => fields[1]?.endsWith(address) && fields[3] === '0A';
  const sockets = ['/proc/net/tcp', '/proc/net/tcp6']
    .filter((table) => existsSync(table))
    .flatMap((table) => readFileSync(table, 'utf8').split('\n'))
    .map((line) => line.trim().split(/\s+/))
    .filter(isListening)
    .map((fields) => `socket:[${fields[inode]}]`);
  const generation = [pid];
  for (const each of generation) {
    if (openFilesOf(each).some((file) => sockets.includes(file))) return each;
    generation.push(...childrenOf(each));
  }
  return undefined;
}

function openFilesOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((name) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${name}`);
    } catch {
      // It was closed meanwhile.
      return '';
    }
  });
}

export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '))
    .filter((child) => child !== '')
    .map(Number);
}

function statusBytes(pid: number, field: string): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (!found) throw new Error(`process ${pid} has no ${field}`);
  return Number(found[1]) * 1024;
}
