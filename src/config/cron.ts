import { Cron } from 'croner';
import { text, ValueFault } from './values.ts';

/** A setting that says when something runs: a cron expression, or `off`, which reads as `null`. */
export function cron(options: { readonly env: string; readonly default: string; readonly description: string }) {
  return { ...text(options), read: readCron };
}

/** Five fields (or six, the first for seconds), in the time zone of the server. */
function readCron(value: string): string | null {
  if (value === 'off') return null;
  const fault = new ValueFault('must be a cron expression like "0 3 * * *", or off');
  if (!/^\S+(\s+\S+){4,5}$/.test(value)) throw fault;
  try {
    if (new Cron(value).nextRun()) return value;
  } catch {
    throw fault;
  }
  throw new ValueFault('never comes to pass');
}
