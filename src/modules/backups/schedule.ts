import { Cron } from 'croner';

/** When a job is due, by a cron expression in the server's local time. */
export interface Schedule {
  /** The last moment at or before this one; milliseconds since the epoch, or `null` when there was none. */
  previous(at: number): number | null;
  /** How long it is from the last moment to the next, in milliseconds. */
  periodMs(at: number): number;
}

const DAY_MS = 24 * 3_600_000;

/** @param pattern as `isCron` takes it. */
export function cronSchedule(pattern: string): Schedule {
  const cron = new Cron(pattern);
  const previous = (at: number) => cron.previousRuns(1, new Date(at + 1))[0]?.getTime() ?? null;
  return {
    previous,
    periodMs(at) {
      const next = cron.nextRun(new Date(at))?.getTime();
      const last = previous(at);
      return next === undefined || last === null ? DAY_MS : next - last;
    },
  };
}

/** Every so many days since the epoch. */
export function everyDays(days: number): Schedule {
  const period = days * DAY_MS;
  return { previous: (at) => Math.floor(at / period) * period, periodMs: () => period };
}
