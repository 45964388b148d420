import { readFileSync } from 'node:fs';

/** What a process has in memory, in bytes; null when it has ended, or where the system has no `/proc` (proc(5), `VmRSS`). */
export function residentBytes(pid: number): number | null {
  try {
    const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return found ? Number(found[1]) * 1024 : null;
  } catch {
    return null;
  }
}
