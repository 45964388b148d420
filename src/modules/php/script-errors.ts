import type { Metrics } from '../../kernel/metrics.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';

/** Lines that are written in one window; the rest is counted. */
const MAX_LINES = 100;
const WINDOW_MS = 10_000;

/** What scripts write to PHP's error log goes into ours, with the id of the request, and no faster than anybody could read. */
export function createScriptErrors(log: Logger, metrics: Metrics, clock: Clock) {
  const fatal = metrics.counter('bunkhouse_php_fatal_errors_total', 'Scripts that ended with a fatal error.');
  let windowStart = 0;
  let lines = 0;
  let suppressed = 0;

  return (text: string, status: number, scene: { readonly requestId: string; readonly script: string }): void => {
    if (/PHP (?:Fatal|Parse) error/.test(text)) fatal.add();
    const now = clock.now();
    if (Math.abs(now - windowStart) >= WINDOW_MS) {
      if (suppressed > 0) log.warn({ lines: suppressed }, 'more errors of PHP scripts than were written here');
      windowStart = now;
      lines = 0;
      suppressed = 0;
    }
    if (++lines > MAX_LINES) {
      suppressed++;
      return;
    }
    const fields = { ...scene, status, php: text.trim(), ...hintFor(text) };
    if (status >= 500) log.error(fields, 'a PHP script failed');
    else log.warn(fields, 'a PHP script wrote to its error log');
  };
}

function hintFor(text: string): { hint?: string } {
  if (/Primary script unknown/i.test(text)) {
    return { hint: 'php-fpm cannot read the script: its account needs r on the file and x on every folder above it' };
  }
  if (/has been denied \(see security\.limit_extensions\)/i.test(text)) {
    return { hint: 'php-fpm runs files that end in .php only' };
  }
  return {};
}
