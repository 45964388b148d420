import type { Metrics } from '../../kernel/metrics.ts';
import type { Module } from '../../web/module.ts';
import { parseRoutes } from './routes.ts';
import { createParseService, type ParseServiceOptions } from './service.ts';

export { LANGUAGES, type Language, type ParseJob, type ParseResult } from './job.ts';
export { parseProblems } from './problems.ts';
export { createParseService } from './service.ts';

export interface ParseOptions extends Omit<ParseServiceOptions, 'onJob'> {
  readonly metrics: Metrics;
}

const BUCKETS = [0.005, 0.02, 0.1, 0.5, 2, 10];

/** HTML, CSS and JavaScript, read where they can harm nobody. */
export function createParse({ metrics, ...options }: ParseOptions) {
  const seconds = metrics.histogram(
    'bunkhouse_parse_duration_seconds',
    'Time from asking for a source to be read until it was, waiting for a child included; what the cache answers is not counted.',
    BUCKETS,
  );
  metrics.gauge('bunkhouse_parse_jobs', 'Sources being read, and waiting for a child.', () =>
    Object.entries(options.pool.load).map(([state, value]) => ({ labels: { state }, value })),
  );
  const service = createParseService({
    ...options,
    onJob: (language, outcome, tookSeconds) => seconds.observe({ language, outcome }, tookSeconds),
  });
  return {
    name: 'parse',
    routes: parseRoutes(service, options.maxBytes),
    stop: () => options.pool.stop(),
    /** For calls and plugins: what a view shows of a source. `question` is a body without the source. */
    html: (source: string, question: object, callerId: string) => service.readFor('html', source, question, callerId),
    css: (source: string, question: object, callerId: string) => service.readFor('css', source, question, callerId),
    js: (source: string, question: object, callerId: string) => service.readFor('js', source, question, callerId),
  } satisfies Module & Record<string, unknown>;
}
