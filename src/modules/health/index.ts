import { timingSafeEqual } from 'node:crypto';
import type { HealthCheck } from '../../kernel/checks.ts';
import type { Metrics } from '../../kernel/metrics.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Module } from '../../web/module.ts';
import { createLoopLag } from './event-loop-lag.ts';
import { createReadiness } from './readiness.ts';
import { healthRoutes } from './routes.ts';

export interface HealthOptions {
  readonly checks: readonly HealthCheck[];
  readonly metrics: Metrics;
  readonly metricsToken: string | undefined;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly isDraining: () => boolean;
}

/** Liveness, readiness and metrics. */
export function createHealth({
  checks,
  metrics,
  metricsToken,
  version,
  clock,
  log,
  isDraining,
}: HealthOptions): Module {
  const lag = createLoopLag();
  metrics.gauge('bunkhouse_info', 'The running version.', () => [{ labels: { version }, value: 1 }]);
  metrics.gauge('bunkhouse_event_loop_lag_seconds', 'Longest delay of the event loop in the last 30 seconds.', lag.max);
  metrics.gauge('bunkhouse_resident_memory_bytes', 'Memory the process holds.', () => process.memoryUsage.rss());
  metrics.gauge('bunkhouse_uptime_seconds', 'Time since the process started.', () => process.uptime());
  const expected = metricsToken === undefined ? null : Buffer.from(`Bearer ${metricsToken}`);

  return {
    name: 'health',
    routes: healthRoutes({
      ready: createReadiness(checks, { clock, log, isDraining }),
      renderMetrics: () => metrics.render(),
      isMetricsToken(authorization) {
        const given = Buffer.from(authorization ?? '');
        return expected !== null && given.length === expected.length && timingSafeEqual(given, expected);
      },
    }),
    start: () => lag.start(),
    stop: () => lag.stop(),
  };
}
