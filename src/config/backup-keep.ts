import { text, ValueFault } from './values.ts';

/** How many backups are kept of each kind: the latest, and the latest of so many hours, days, weeks, months and years. */
const PERIODS = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
export type BackupKeep = Readonly<Record<(typeof PERIODS)[number], number>>;

/** A setting that holds a rule such as `last=3,daily=7`. */
export function backupKeep(options: { readonly env: string; readonly default: string; readonly description: string }) {
  return { ...text(options), read: readBackupKeep };
}

/** @throws ValueFault when it is no rule, or one that keeps nothing. */
export function readBackupKeep(value: string): BackupKeep {
  const keep = { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
  const seen = new Set<string>();
  for (const part of value.split(',')) {
    const [, period = '', count] = /^\s*([a-z]+)=(\d{1,5})\s*$/.exec(part) ?? [];
    if (!isPeriod(period) || seen.has(period)) {
      throw new ValueFault(`must be a comma list such as last=3,daily=7 of ${PERIODS.join(', ')}, each at most once`);
    }
    seen.add(period);
    keep[period] = Number(count);
  }
  if (Object.values(keep).every((count) => count === 0)) throw new ValueFault('must keep at least one backup');
  return keep;
}

function isPeriod(name: string): name is keyof BackupKeep {
  return (PERIODS as readonly string[]).includes(name);
}
