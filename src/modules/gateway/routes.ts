import { Elysia, t } from 'elysia';
import { guard } from '../../web/guard.ts';
import { listOf } from '../../web/schemas.ts';
import { loadPage, type Page } from './page.ts';
import type { ProblemPages } from './problem-pages.ts';

export interface GatewayRoutesOptions {
  readonly setupPage: Page;
  readonly problemPages: ProblemPages;
}

const hidden = { hide: true };

const ProblemTypeSchema = t.Object(
  {
    type: t.String({ description: 'Path of this documentation, as `type` of a problem has it.' }),
    code: t.String({ description: '`area/name`, as `code` of a problem has it.' }),
    title: t.String(),
    status: t.Integer({ description: 'HTTP status of the answer.' }),
    detail: t.String({ description: 'What it means and what to do.' }),
  },
  { title: 'ProblemType' },
);

/** Pages of the house itself. Who else gets a path is decided by the fallbacks. */
export function gatewayRoutes({ setupPage, problemPages }: GatewayRoutesOptions) {
  const css = loadPage('pages.css', 'text/css; charset=utf-8');
  const icon = loadPage('icon.svg', 'image/svg+xml');
  const landingScript = loadPage('landing.js', 'text/javascript; charset=utf-8');
  const setupScript = loadPage('setup.js', 'text/javascript; charset=utf-8');

  return new Elysia({ name: 'gateway' })
    .use(guard)
    .get('/_bunkhouse/pages.css', ({ request }) => css(request), { anyone: true, detail: hidden })
    .get('/_bunkhouse/icon.svg', ({ request }) => icon(request), { anyone: true, detail: hidden })
    .get('/_bunkhouse/landing.js', ({ request }) => landingScript(request), { anyone: true, detail: hidden })
    .get('/_bunkhouse/setup.js', ({ request }) => setupScript(request), { anyone: true, detail: hidden })
    .get('/setup', ({ request }) => setupPage(request), { anyone: true, detail: hidden })
    .get('/problems', ({ request }) => problemPages.index(request), {
      anyone: true,
      detail: {
        tags: ['gateway'],
        operationId: 'listProblemTypes',
        summary: 'List the problem types',
        description: 'Every kind of failure this server answers with. HTML unless `Accept` asks for JSON.',
        responses: { 200: documented('All problem types, by code.', listOf(ProblemTypeSchema)) },
      },
    })
    .get('/problems/:area/:name', ({ request, params }) => problemPages.one(request, params.area, params.name), {
      anyone: true,
      detail: {
        tags: ['gateway'],
        operationId: 'explainProblemType',
        summary: 'Explain a problem type',
        description: 'What the `type` of a problem answer leads to. HTML unless `Accept` asks for JSON.',
        responses: { 200: documented('The problem type.', ProblemTypeSchema) },
      },
    });
}

function documented(description: string, schema: object) {
  return {
    description,
    content: { 'application/json': { schema }, 'text/html': { schema: { type: 'string' as const } } },
  };
}
