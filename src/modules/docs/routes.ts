import { OptionalKind } from '@sinclair/typebox';
import { type AnyElysia, Elysia } from 'elysia';
import { requestProblems } from '../../kernel/problems.ts';
import { guard } from '../../web/guard.ts';
import { isAssetName, type SwaggerAssets } from './assets.ts';
import type { OpenApiDocument, RawDocument, RawOperation } from './openapi-types.ts';

export interface DocsRoutesOptions {
  readonly assets: SwaggerAssets;
  /** The published document. */
  readonly document: () => Promise<OpenApiDocument>;
}

export function docsRoutes({ assets, document }: DocsRoutesOptions) {
  return new Elysia({ name: 'docs' })
    .use(guard)
    .get('/swagger', ({ request }) => assets(request, 'swagger.html'), { anyone: true, detail: { hide: true } })
    .get(
      '/swagger/json',
      async ({ set }) => {
        set.headers['cache-control'] = 'no-cache';
        return document();
      },
      {
        anyone: true,
        detail: {
          tags: ['docs'],
          operationId: 'describeApi',
          summary: 'Describe the API',
          description: 'This OpenAPI document. `/swagger` shows it and lets you try the calls.',
          responses: {
            200: {
              description: 'An OpenAPI document.',
              content: { 'application/json': { schema: { type: 'object' } } },
            },
          },
        },
      },
    )
    .get(
      '/swagger/:asset',
      ({ request, params }) => {
        if (!isAssetName(params.asset)) throw requestProblems.create('not-found');
        return assets(request, params.asset);
      },
      { anyone: true, detail: { hide: true } },
    );
}

const RAW_PATH = '/openapi.json';

/**
 * What @elysiajs/swagger finds in the given routes. It only sees routes of the instance it is mounted on, so they are
 * mounted on one of its own, which answers once and is let go. The plugin is loaded then: it brings a second UI along.
 */
export async function generateDocument(routes: readonly AnyElysia[]): Promise<RawDocument> {
  const [{ swagger }, { toOpenAPIPath }] = await Promise.all([
    import('@elysiajs/swagger'),
    import('@elysiajs/swagger/utils'),
  ]);
  const app = new Elysia().use([...routes]);
  const known = app.routes.map(({ method, path, hooks }) => ({
    method: method.toLowerCase(),
    path: toOpenAPIPath(path),
    hooks,
  }));
  app.use(swagger({ path: '/ui', specPath: RAW_PATH, excludeStaticFile: false }));
  const answer = await app.handle(new Request(`http://localhost${RAW_PATH}`));
  const raw = (await answer.json()) as RawDocument;
  for (const { method, path, hooks } of known) addBodyFacts(raw.paths?.[path]?.[method], hooks);
  return raw;
}

/** The generator lets a body's schema hide what `detail.requestBody` tells, and takes every body for required. */
function addBodyFacts(operation: RawOperation | undefined, hooks: Record<string, unknown>): void {
  const { requestBody } = (hooks.detail ?? {}) as RawOperation;
  const isOptional = typeof hooks.body === 'object' && hooks.body !== null && OptionalKind in hooks.body;
  if (operation && requestBody) operation.requestBody = JSON.parse(JSON.stringify(requestBody)) as typeof requestBody;
  else if (operation?.requestBody && isOptional) operation.requestBody.required = false;
}
