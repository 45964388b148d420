import { expect, test } from 'bun:test';
import { createMetrics } from '../../src/kernel/metrics.ts';

test('counters, gauges and histograms are written in the text format 0.0.4', () => {
  const metrics = createMetrics();
  const requests = metrics.counter('bunkhouse_requests_total', 'Requests.');
  requests.add({ method: 'GET', status: 200 });
  requests.add({ method: 'GET', status: 200 }, 2);
  requests.add();
  metrics.gauge('bunkhouse_lag_seconds', 'Lag.', () => 0.25);
  metrics.gauge('bunkhouse_info', 'Version.', () => [{ labels: { version: '1.2.3' }, value: 1 }]);
  const durations = metrics.histogram('bunkhouse_duration_seconds', 'Durations.', [0.1, 1]);
  durations.observe({ route: '/a' }, 0.1);
  durations.observe({ route: '/a' }, 0.5);
  const series = durations.series({ route: '/a' });
  series.observe(5);
  expect(metrics.render()).toBe(`# HELP bunkhouse_requests_total Requests.
# TYPE bunkhouse_requests_total counter
bunkhouse_requests_total{method="GET",status="200"} 3
bunkhouse_requests_total 1
# HELP bunkhouse_lag_seconds Lag.
# TYPE bunkhouse_lag_seconds gauge
bunkhouse_lag_seconds 0.25
# HELP bunkhouse_info Version.
# TYPE bunkhouse_info gauge
bunkhouse_info{version="1.2.3"} 1
# HELP bunkhouse_duration_seconds Durations.
# TYPE bunkhouse_duration_seconds histogram
bunkhouse_duration_seconds_bucket{route="/a",le="0.1"} 1
bunkhouse_duration_seconds_bucket{route="/a",le="1"} 2
bunkhouse_duration_seconds_bucket{route="/a",le="+Inf"} 3
bunkhouse_duration_seconds_sum{route="/a"} 5.6
bunkhouse_duration_seconds_count{route="/a"} 3
`);
});

test('a label cannot end its line or its quotes', () => {
  const metrics = createMetrics();
  metrics.counter('bunkhouse_odd_total', 'Odd.').add({ route: 'a"b\\c\nd' });
  expect(metrics.render()).toContain('bunkhouse_odd_total{route="a\\"b\\\\c\\nd"} 1\n');
  expect(metrics.render().split('\n')).toHaveLength(4);
});

test('the same name cannot be declared twice', () => {
  const metrics = createMetrics();
  metrics.counter('bunkhouse_x_total', 'X.');
  expect(() => metrics.gauge('bunkhouse_x_total', 'X.', () => 1)).toThrow('bunkhouse_x_total is declared twice');
});

test('a family without series still says what it is', () => {
  const metrics = createMetrics();
  metrics.counter('bunkhouse_x_total', 'X.');
  expect(metrics.render()).toBe('# HELP bunkhouse_x_total X.\n# TYPE bunkhouse_x_total counter\n');
});
