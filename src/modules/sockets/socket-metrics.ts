import type { Metrics } from '../../kernel/metrics.ts';
import type { Hub } from './hub.ts';
import type { Registry } from './registry.ts';

/** From what stays within one turn of the loop to a bus that hangs. */
const LAG_BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5];
/** Close codes that get a series of their own; clients may close with any of thousands. */
const CODE_MIN = 1000;
const CODE_MAX = 4999;
const MAX_CODES = 100;

/** What the sockets of this process have done and are doing. */
export interface SocketMetrics {
  onPublished(): void;
  onFanOut(members: number, lagMs: number | null): void;
  onRecovery(isRecovered: boolean): void;
  onClosed(wire: string, code: number): void;
  /** Totals since the start. */
  readonly totals: { readonly published: number; readonly delivered: number };
  /** Reads the state that is measured when it is asked for. */
  observe(registry: Registry, hub: Hub): void;
}

export function createSocketMetrics(metrics: Metrics): SocketMetrics {
  const published = metrics.counter('bunkhouse_socket_publications_total', 'Messages taken in by this process.');
  const recoveries = metrics.counter('bunkhouse_socket_recoveries_total', 'Recoveries asked for, by outcome.');
  const closes = metrics.counter('bunkhouse_socket_closes_total', 'Closed connections by wire and code.');
  const lag = metrics
    .histogram('bunkhouse_socket_fanout_lag_seconds', 'From the append of a message to its fan-out.', LAG_BUCKETS)
    .series({});
  const totals = { published: 0, delivered: 0 };
  const codes = new Set<number>();

  return {
    totals,
    onPublished() {
      totals.published++;
      published.add();
    },
    onFanOut(members, lagMs) {
      totals.delivered += members;
      if (lagMs !== null) lag.observe(Math.max(0, lagMs) / 1000);
    },
    onRecovery: (isRecovered) => recoveries.add({ outcome: isRecovered ? 'recovered' : 'failed' }),
    onClosed(wire, code) {
      const isNamed = code >= CODE_MIN && code <= CODE_MAX && (codes.has(code) || codes.size < MAX_CODES);
      if (isNamed) codes.add(code);
      closes.add({ wire, code: isNamed ? code : 'other' });
    },
    observe(registry, hub) {
      metrics.gauge('bunkhouse_socket_connections', 'Open connections by wire.', () =>
        [...registry.countByWire()].map(([wire, value]) => ({ labels: { wire }, value })),
      );
      metrics.gauge('bunkhouse_socket_topics', 'Topics that somebody listens to here.', () => hub.size);
      metrics.gauge(
        'bunkhouse_socket_queue_bytes',
        'Bytes that wait for clients to take them.',
        () => registry.backlogBytes,
      );
      metrics.gauge(
        'bunkhouse_socket_deliveries',
        'Messages handed to connections since the start.',
        () => totals.delivered,
      );
    },
  };
}
