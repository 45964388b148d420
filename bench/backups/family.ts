import { readdirSync, readFileSync } from 'node:fs';
import { residentBytes } from '../harness/proc.ts';

const LOOK_MS = 50;

/** Watches the memory of a process with all its descendants, whenever they come. */
export function watchFamily(pid: number): { stop(): { readonly peakBytes: number } } {
  let peakBytes = 0;
  const look = () => {
    peakBytes = Math.max(peakBytes, familyBytes(pid));
  };
  look();
  const timer = setInterval(look, LOOK_MS);
  return {
    stop() {
      clearInterval(timer);
      return { peakBytes };
    },
  };
}

/** Resident memory of all of them now; pages that they share count for each. */
export function familyBytes(pid: number): number {
  try {
    return childrenOf(pid).reduce((sum, child) => sum + familyBytes(child), residentBytes(pid));
  } catch {
    // It has ended.
    return 0;
  }
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '))
    .filter((child) => child !== '')
    .map(Number);
}
