import { Elysia, t } from 'elysia';
import type { Caller } from '../../kernel/caller.ts';
import { accessProblems } from '../../kernel/problems.ts';
import { guard } from '../../web/guard.ts';
import { OPTIONAL_SIGN_IN, oneOf } from '../../web/schemas.ts';
import type { Readiness } from './readiness.ts';

const Row = t.Object({
  name: t.String({ examples: ['database:main'] }),
  status: oneOf(['ok', 'degraded', 'down', 'off']),
  latencyMs: t.Number(),
  detail: t.Optional(t.String()),
});
const ReadinessSchema = t.Object(
  { status: oneOf(['ok', 'degraded', 'down']), checks: t.Array(Row) },
  { title: 'Readiness' },
);

export interface HealthRoutesOptions {
  readonly ready: () => Promise<Readiness>;
  readonly renderMetrics: () => string;
  /** Whether a bearer token is `METRICS_TOKEN`. */
  readonly isMetricsToken: (authorization: string | null) => boolean;
}

const tags = ['health'];

export function healthRoutes({ ready, renderMetrics, isMetricsToken }: HealthRoutesOptions) {
  return new Elysia({ name: 'health' })
    .use(guard)
    .get('/health/live', () => ({ status: 'ok' as const }), {
      anyone: true,
      response: { 200: t.Object({ status: t.Literal('ok') }) },
      detail: {
        tags,
        operationId: 'live',
        summary: 'Whether the process runs',
        description: 'Answered before everything else; it depends on nothing.',
      },
    })
    .get(
      '/health/ready',
      async ({ set }) => {
        const readiness = await ready();
        set.status = readiness.status === 'down' ? 503 : 200;
        return readiness;
      },
      {
        anyone: true,
        response: { 200: ReadinessSchema, 503: ReadinessSchema },
        detail: {
          tags,
          operationId: 'ready',
          summary: 'Whether the server can do its work',
          description: '503 when the main database or the storage is down, or while shutting down.',
        },
      },
    )
    .get(
      '/metrics',
      ({ caller, request }) => {
        if (!isMetricsToken(request.headers.get('authorization'))) requireAdmin(caller);
        return new Response(renderMetrics(), {
          headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        });
      },
      {
        anyone: true,
        detail: {
          tags,
          operationId: 'metrics',
          summary: 'Metrics for Prometheus',
          description: 'For admins, or with METRICS_TOKEN as Bearer.',
          security: OPTIONAL_SIGN_IN,
          responses: {
            200: {
              description: 'Text exposition format 0.0.4.',
              content: { 'text/plain': { schema: { type: 'string' } } },
            },
          },
        },
      },
    );
}

function requireAdmin(caller: Caller | null): void {
  if (!caller) throw accessProblems.create('required');
  if (caller.role !== 'admin') throw accessProblems.create('forbidden');
}
