import { type AnyElysia, Elysia } from 'elysia';
import { contextOf, type RequestContext } from './context.ts';
import { isUnexpected, toProblemResponse } from './problems.ts';

/**
 * Puts the modules' routes together. The error mapper is registered first and is global, so no route's error can reach Elysia's
 * default answer, which would echo the message.
 */
export function createApp(
  routes: readonly AnyElysia[],
  onUnexpected: (error: unknown, context: RequestContext) => void,
): AnyElysia {
  const app = new Elysia({ name: 'bunkhouse' }).onError({ as: 'global' }, ({ error, request }) => {
    const context = contextOf(request);
    if (isUnexpected(error)) onUnexpected(error, context);
    return toProblemResponse(error, { requestId: context.id, path: context.path });
  });
  for (const part of routes) app.use(part);
  return app.compile();
}
