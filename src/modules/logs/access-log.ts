import type { Metrics } from '../../kernel/metrics.ts';
import type { Logger } from '../../ports/logger.ts';
import type { RequestContext } from '../../web/context.ts';

/** Upper bounds in seconds, from a cached answer to a slow upload. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** Methods that get a series of their own: a client may send any word. */
const KNOWN_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/**
 * One line and one observation for each answer. The line holds the route's pattern, not the path: paths carry names that users
 * gave.
 */
export function createAccessLog(log: Logger, metrics: Metrics) {
  const durations = metrics.histogram(
    'bunkhouse_http_request_duration_seconds',
    'Time from the request to the headers of its answer.',
    BUCKETS,
  );
  const open = (method: string, status: number, route: string): Series => {
    const members = JSON.stringify({ msg: 'request', method, route, status }).slice(1, -1);
    return { duration: durations.series({ method, route, status }), members };
  };
  // Three lookups of what is there cost less than one by a key that has to be put together first.
  const routes = new Map<string, Map<number, Map<string, Series>>>();
  const seriesOf = (method: string, status: number, route: string): Series => {
    const known = routes.get(route)?.get(status)?.get(method);
    if (known) return known;
    const statuses = routes.get(route) ?? new Map<number, Map<string, Series>>();
    const methods = statuses.get(status) ?? new Map<string, Series>();
    const series = open(method, status, route);
    routes.set(route, statuses.set(status, methods.set(method, series)));
    return series;
  };

  return (context: RequestContext, status: number, durationMs: number): void => {
    const { route, caller } = context;
    const series = seriesOf(KNOWN_METHODS.has(context.method) ? context.method : 'other', status, route);
    series.duration.observe(durationMs / 1000);
    // Request ids, addresses and user ids hold nothing that JSON would escape.
    log.line(
      `${series.members},"durationMs":${Math.round(durationMs * 100) / 100},"requestId":"${context.id}",` +
        `"address":"${context.address}"${caller ? `,"userId":"${caller.id}"` : ''}`,
    );
  };
}

/** What is the same for every answer of one method, route and status. */
interface Series {
  readonly duration: { observe(value: number): void };
  readonly members: string;
}
