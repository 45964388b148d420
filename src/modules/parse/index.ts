import type { Module } from '../../web/module.ts';
import { parseRoutes } from './routes.ts';
import { createParseService, type ParseServiceOptions } from './service.ts';

export { LANGUAGES, type Language, type ParseJob, type ParseResult } from './job.ts';
export { parseProblems } from './problems.ts';
export { createParseService } from './service.ts';

/** HTML, CSS and JavaScript, read where they can harm nobody. */
export function createParse(options: ParseServiceOptions) {
  const service = createParseService(options);
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
