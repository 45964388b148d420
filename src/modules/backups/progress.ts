import type { JobProgress } from './jobs.ts';

/** A part of a job, and where it lies in the whole of it. */
export interface PhaseShare {
  readonly phase: string;
  /** Of the whole job, 0 to 1. */
  readonly from: number;
  readonly to: number;
}

export interface ProgressReporter {
  /** Begins a phase of so many bytes. */
  begin(share: PhaseShare, total: number): void;
  /** So many more bytes of it are done. */
  add(bytes: number): void;
}

const PAUSE_MS = 250;

/** Tells how far a job is, at the beginning of each phase and then at most four times a second. The fraction never goes back. */
export function createProgress(tell: (progress: JobProgress) => void): ProgressReporter {
  let share: PhaseShare = { phase: '', from: 0, to: 0 };
  let done = 0;
  let total = 0;
  let fraction = 0;
  let toldAt = 0;
  const report = () => {
    const part = total === 0 ? 0 : Math.min(1, done / total);
    fraction = Math.max(fraction, share.from + (share.to - share.from) * part);
    toldAt = performance.now();
    tell({ phase: share.phase, done, total, fraction });
  };
  return {
    begin(next, bytes) {
      share = next;
      done = 0;
      total = bytes;
      report();
    },
    add(bytes) {
      done += bytes;
      if (performance.now() - toldAt >= PAUSE_MS) report();
    },
  };
}
