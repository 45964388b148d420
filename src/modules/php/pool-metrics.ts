import type { Metrics } from '../../kernel/metrics.ts';
import type { Logger } from '../../ports/logger.ts';
import type { PhpFpmStatus, PhpLoad, PhpObserver } from '../../ports/php-pool.ts';

/** Upper bounds in seconds, from a child that is free to the longest wait. */
const WAIT_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Counts what a pool tells; `observe` adds what is read when the metrics are asked for. */
export function createPoolMetrics(metrics: Metrics, log: Logger) {
  const waits = metrics
    .histogram('bunkhouse_php_queue_wait_seconds', 'Time that requests wait for a PHP child.', WAIT_BUCKETS)
    .series({});
  const dials = metrics.counter('bunkhouse_php_dials_total', 'Connections opened to php-fpm.');
  const retries = metrics.counter(
    'bunkhouse_php_retries_total',
    'Requests sent again after a kept connection had closed.',
  );
  const slow = metrics.counter('bunkhouse_php_slow_requests_total', 'Scripts in the slow log of php-fpm.');
  let status: PhpFpmStatus | null = null;

  const observer: PhpObserver = {
    onTurn: (waitedMs) => waits.observe(waitedMs / 1000),
    onDial: () => dials.add(),
    onRetry: () => retries.add(),
    onStatus: (read) => {
      status = read;
    },
    onSlow(entry) {
      slow.add();
      log.warn({ trace: entry }, 'a PHP script is slow');
    },
  };
  return {
    observer,
    observe(load: () => PhpLoad): void {
      metrics.gauge('bunkhouse_php_children', 'PHP children by what they do for this process.', () => {
        const { size, busy, idle, lost } = load();
        return Object.entries({ size, busy, idle, lost }).map(([state, value]) => ({ labels: { state }, value }));
      });
      metrics.gauge('bunkhouse_php_queued', 'Requests that wait for a PHP child.', () => load().queued);
      metrics.gauge('bunkhouse_php_fpm', 'What php-fpm counts itself.', () =>
        status === null
          ? []
          : Object.entries(status).map(([name, value]) => ({
              labels: { counter: toSnake(name) },
              value: Number(value),
            })),
      );
    },
  };
}

function toSnake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
