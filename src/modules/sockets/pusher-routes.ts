import { Elysia, t } from 'elysia';
import { guard } from '../../web/guard.ts';
import { Problem } from '../../web/schemas.ts';
import type { Host } from './host.ts';
import { tryRecord } from './json.ts';
import { socketProblems } from './problems.ts';
import { createPusherApi } from './pusher-api.ts';
import type { PusherApp } from './pusher-app.ts';
import { grantPusher } from './pusher-grants.ts';
import { readText } from './raw-body.ts';

const tags = ['pusher'];
/** A batch of ten full messages, as JSON within JSON. */
const MAX_API_BYTES = 1024 * 1024;
const MAX_AUTH_BYTES = 16 * 1024;

/** What an answer of the API looks like to the document: JSON in Pusher's own form, failures as plain text. */
const described = (operationId: string, summary: string) => ({
  tags,
  operationId,
  summary,
  description: "Pusher's HTTP API: authenticated by `auth_signature` in the query.",
  responses: { 200: { description: 'As Pusher answers.' }, 401: { description: 'The signature does not hold.' } },
});
const open = { anyone: true, parse: 'none' } as const;

/** Pusher over plain HTTP: the API for servers, and the authorization endpoint for clients. */
export function pusherRoutes(host: Host, app: PusherApp | null) {
  const api = createPusherApi(host, app);
  const toCall = async (request: Request, appId: string) => ({
    request,
    appId,
    body: await readText(request, MAX_API_BYTES),
  });

  return new Elysia({ name: 'pusher' })
    .use(guard)
    .get(
      '/app/:key',
      () => {
        throw app
          ? socketProblems.create('upgrade-required', { headers: { upgrade: 'websocket' } })
          : socketProblems.create('pusher-off');
      },
      { anyone: true, detail: { hide: true } },
    )
    .post('/apps/:appId/events', async ({ request, params }) => api.trigger(await toCall(request, params.appId)), {
      ...open,
      detail: described('triggerEvent', 'Publish an event'),
    })
    .post(
      '/apps/:appId/batch_events',
      async ({ request, params }) => api.triggerBatch(await toCall(request, params.appId)),
      {
        ...open,
        detail: described('triggerBatch', 'Publish up to ten events'),
      },
    )
    .get('/apps/:appId/channels', async ({ request, params }) => api.channels(await toCall(request, params.appId)), {
      anyone: true,
      detail: described('listChannels', 'Occupied channels'),
    })
    .get(
      '/apps/:appId/channels/:name',
      async ({ request, params }) => api.channel(await toCall(request, params.appId), params.name),
      {
        anyone: true,
        detail: described('getChannel', 'One channel'),
      },
    )
    .get(
      '/apps/:appId/channels/:name/users',
      async ({ request, params }) => api.users(await toCall(request, params.appId), params.name),
      { anyone: true, detail: described('listChannelUsers', 'Users on a presence channel') },
    )
    .post(
      '/apps/:appId/users/:id/terminate_connections',
      async ({ request, params }) => api.terminate(await toCall(request, params.appId), params.id),
      { ...open, detail: described('terminateConnections', 'Close the connections of a user') },
    )
    .post(
      '/api/sockets/pusher-auth',
      async ({ request, caller }) => {
        const body = await readText(request, MAX_AUTH_BYTES);
        const isJson = request.headers.get('content-type')?.includes('json') ?? false;
        const form = isJson ? (tryRecord(body) ?? {}) : Object.fromEntries(new URLSearchParams(body));
        return grantPusher(host, app, { caller, socketId: form['socket_id'], channel: form['channel_name'] });
      },
      {
        signedIn: true,
        parse: 'none',
        response: {
          200: t.Object({
            auth: t.String(),
            channel_data: t.Optional(t.String()),
            user_data: t.Optional(t.String()),
          }),
          403: Problem,
          404: Problem,
          422: Problem,
        },
        detail: {
          tags,
          operationId: 'authorizePusher',
          summary: 'Join a private or presence channel',
          description:
            'For `channelAuthorization` of pusher-js and Echo; without `channel_name` for `userAuthentication`.',
          requestBody: {
            required: true,
            content: {
              'application/x-www-form-urlencoded': {
                schema: {
                  type: 'object',
                  properties: { socket_id: { type: 'string' }, channel_name: { type: 'string' } },
                  required: ['socket_id'],
                },
              },
            },
          },
        },
      },
    );
}
