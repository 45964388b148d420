import type { JobProgress } from '../modules/backups/jobs.ts';

const BAR_WIDTH = 24;
/** Where nobody watches, a line is written at each such share of the work. */
const STEP = 0.1;

/** Shows how far work is on standard error: as a bar where a person watches, else as lines now and then. */
export function showProgress(stream: NodeJS.WriteStream = process.stderr, now: () => number = () => performance.now()) {
  const startedAt = now();
  let phase = '';
  let next = 0;
  let isBarShown = false;
  return {
    tell(progress: JobProgress): void {
      const text = describe(progress, now() - startedAt);
      if (stream.isTTY) {
        const filled = Math.round(progress.fraction * BAR_WIDTH);
        stream.write(`\r\u001B[2K[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}] ${text}`);
        isBarShown = true;
        return;
      }
      if (progress.phase === phase && progress.fraction < next) return;
      phase = progress.phase;
      next = progress.fraction + STEP;
      stream.write(`${text}\n`);
    },
    /** Makes room for other text. */
    end(): void {
      if (isBarShown) stream.write('\r\u001B[2K');
      isBarShown = false;
    },
  };
}

function describe({ phase, done, total, fraction }: JobProgress, elapsedMs: number): string {
  const bytes = total > 0 ? `, ${toSize(done)} of ${toSize(total)}` : '';
  const left = fraction > 0.05 && fraction < 1 ? `, ${toTime((elapsedMs / fraction) * (1 - fraction))} left` : '';
  return `${String(Math.floor(fraction * 100)).padStart(3)} %  ${phase}${bytes}${left}`;
}

/** Bytes for people. */
export function toSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${unit === 0 ? bytes : (bytes / 2 ** (10 * unit)).toFixed(1)} ${units[unit]}`;
}

/** A span of time for people. */
export function toTime(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
