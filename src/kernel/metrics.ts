/**
 * Counters, gauges and histograms in the Prometheus text exposition format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Names start with `bunkhouse_`; times are seconds.
 *
 * Label values must come from a bounded set (a route pattern, never a path): a series lives as long as the process.
 */

export type Labels = Readonly<Record<string, string | number>>;

export interface Counter {
  add(labels?: Labels, amount?: number): void;
}

export interface Histogram {
  observe(labels: Labels, value: number): void;
  /** The series of one set of labels, for callers that record often and can keep it. */
  series(labels: Labels): { observe(value: number): void };
}

export interface Metrics {
  counter(name: string, help: string): Counter;
  histogram(name: string, help: string, buckets: readonly number[]): Histogram;
  /** A value read when the metrics are asked for; `read` may return several series. */
  gauge(name: string, help: string, read: () => number | readonly { labels: Labels; value: number }[]): void;
  /** A counter that is kept elsewhere and read when the metrics are asked for. */
  total(name: string, help: string, read: () => readonly { labels: Labels; value: number }[]): void;
  /** All series as text. */
  render(): string;
}

export function createMetrics(): Metrics {
  const families = new Map<string, { type: string; help: string; lines: () => Iterable<string> }>();
  const add = (name: string, type: string, help: string, lines: () => Iterable<string>) => {
    if (families.has(name)) throw new Error(`the metric ${name} is declared twice`);
    families.set(name, { type, help, lines });
  };

  return {
    counter(name, help) {
      const values = new Map<string, number>();
      add(name, 'counter', help, function* () {
        for (const [labels, value] of values) yield `${name}${labels} ${value}`;
      });
      return {
        add(labels = {}, amount = 1) {
          const key = formatLabels(labels);
          values.set(key, (values.get(key) ?? 0) + amount);
        },
      };
    },
    histogram(name, help, buckets) {
      const all = new Map<string, { labels: Labels; counts: number[]; sum: number; count: number }>();
      add(name, 'histogram', help, function* () {
        for (const { labels, counts, sum, count } of all.values()) {
          for (const [index, bound] of buckets.entries()) {
            yield `${name}_bucket${formatLabels({ ...labels, le: bound })} ${counts[index]}`;
          }
          yield `${name}_bucket${formatLabels({ ...labels, le: '+Inf' })} ${count}`;
          yield `${name}_sum${formatLabels(labels)} ${sum}`;
          yield `${name}_count${formatLabels(labels)} ${count}`;
        }
      });
      const series = (labels: Labels) => {
        const key = formatLabels(labels);
        const data = all.get(key) ?? { labels, counts: buckets.map(() => 0), sum: 0, count: 0 };
        all.set(key, data);
        return {
          observe(value: number) {
            data.sum += value;
            data.count += 1;
            for (let index = buckets.length - 1; index >= 0 && value <= (buckets[index] as number); index--) {
              data.counts[index] = (data.counts[index] as number) + 1;
            }
          },
        };
      };
      return { series, observe: (labels, value) => series(labels).observe(value) };
    },
    gauge(name, help, read) {
      add(name, 'gauge', help, function* () {
        const value = read();
        if (typeof value === 'number') yield `${name} ${value}`;
        else for (const entry of value) yield `${name}${formatLabels(entry.labels)} ${entry.value}`;
      });
    },
    total(name, help, read) {
      add(name, 'counter', help, function* () {
        for (const { labels, value } of read()) yield `${name}${formatLabels(labels)} ${value}`;
      });
    },
    render() {
      let text = '';
      for (const [name, { type, help, lines }] of families) {
        text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
        for (const line of lines()) text += `${line}\n`;
      }
      return text;
    },
  };
}

function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(String(value))}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
