import { Elysia, t } from 'elysia';
import { connectionOf } from '../../web/context.ts';
import { guard } from '../../web/guard.ts';
import { OPTIONAL_SIGN_IN, Timestamp } from '../../web/schemas.ts';
import { openEventStream } from './event-stream.ts';
import type { Host } from './host.ts';
import type { Inspector } from './inspector.ts';
import { socketProblems } from './problems.ts';
import { isTopic } from './topics.ts';

const tags = ['sockets'];

const PublishBody = t.Object({
  topic: t.String({ minLength: 1, maxLength: 255, description: 'Where it goes.' }),
  name: t.Optional(t.String({ minLength: 1, maxLength: 200, description: 'What kind of message it is.' })),
  data: t.Unknown({ description: 'The message: any JSON of at most 64 KiB.' }),
  idempotencyKey: t.Optional(
    t.String({
      minLength: 1,
      maxLength: 128,
      description: 'Publishes nothing when it was used on the topic within five minutes.',
    }),
  ),
});
const PositionSchema = t.Object(
  {
    offset: t.Integer({ description: 'Number of the message in its topic.' }),
    epoch: t.String({ description: 'The life of the topic that the number belongs to.' }),
  },
  { title: 'Position' },
);
const TokenBody = t.Object({
  topic: t.String({ minLength: 1, maxLength: 255 }),
  userId: t.Optional(
    t.String({ minLength: 1, maxLength: 64, description: 'Only connections of this user may use it.' }),
  ),
  expiresIn: t.Optional(t.Integer({ minimum: 1, maximum: 86_400, description: 'Seconds; 900 unless said.' })),
});
const TopicToken = t.Object({ token: t.String(), expiresAt: Timestamp }, { title: 'TopicToken' });
const Overview = t.Object(
  {
    connections: t.Object({
      total: t.Integer(),
      users: t.Integer({ description: 'Different signed-in users.' }),
      byWire: t.Record(t.String(), t.Integer()),
    }),
    topics: t.Object({
      total: t.Integer(),
      items: t.Array(
        t.Object({ topic: t.String(), subscribers: t.Integer(), offset: t.Integer(), epoch: t.String() }),
        { description: 'The hundred with the most subscribers.' },
      ),
    }),
    rates: t.Object({
      publishedPerSecond: t.Number(),
      deliveredPerSecond: t.Number({ description: 'One for each message and connection.' }),
    }),
    backlogBytes: t.Integer({ description: 'What waits for clients to take it.' }),
  },
  { title: 'SocketOverview' },
);
const DEFAULT_TOKEN_SECONDS = 900;

/** Realtime over plain HTTP: publishing, the event stream, and a look inside. */
export function socketRoutes(host: Host, inspector: Inspector) {
  return new Elysia({ name: 'sockets' })
    .use(guard)
    .get(
      '/connection/websocket',
      () => {
        throw socketProblems.create('upgrade-required', { headers: { upgrade: 'websocket' } });
      },
      {
        anyone: true,
        // An upgrade is no operation that OpenAPI could describe; docs/sockets.md does.
        detail: { hide: true },
      },
    )
    .get(
      '/connection/uni_sse',
      async ({ request, caller, query }) => {
        const connection = connectionOf(request);
        const onEnd = () => connection.cutWhenIdle();
        connection.keepOpen();
        try {
          return await openEventStream(host, { caller, connect: query.cf_connect, signal: request.signal, onEnd });
        } catch (error) {
          onEnd();
          throw error;
        }
      },
      {
        anyone: true,
        query: t.Object({
          cf_connect: t.Optional(
            t.String({
              maxLength: 16_384,
              description: 'JSON: `{token?, subs: {topic: {recover?, epoch?, offset?}}}`.',
            }),
          ),
        }),
        detail: {
          tags,
          operationId: 'connectEventStream',
          summary: 'Listen by server-sent events',
          description: "Centrifugo's unidirectional protocol. A page that is signed in by cookie needs no token.",
          security: OPTIONAL_SIGN_IN,
          responses: {
            200: { description: 'Pushes.', content: { 'text/event-stream': { schema: { type: 'string' } } } },
          },
        },
      },
    )
    .post(
      '/api/sockets/publish',
      async ({ body: { topic, name, data, idempotencyKey } }) => {
        const { offset, epoch } = await host.publisher.publish({
          topic,
          data,
          ...(name === undefined ? {} : { name }),
          ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        });
        return { offset, epoch };
      },
      {
        publisher: true,
        body: PublishBody,
        response: { 200: PositionSchema },
        detail: { tags, operationId: 'publish', summary: 'Publish a message' },
      },
    )
    .post(
      '/api/sockets/tokens',
      ({ body: { topic, userId, expiresIn = DEFAULT_TOKEN_SECONDS } }) => {
        if (!isTopic(topic)) throw socketProblems.create('invalid-topic');
        const expiresAt = host.clock.now() + expiresIn * 1000;
        const token = host.topicTokens.sign({ topic, userId: userId ?? null, expiresAt });
        return { token, expiresAt: new Date(expiresAt).toISOString() };
      },
      {
        admin: true,
        body: TokenBody,
        response: { 200: TopicToken },
        detail: {
          tags,
          operationId: 'createTopicToken',
          summary: 'Allow subscribing to one topic',
          description: 'For `subscribe.token` of the Centrifugo protocol: it stands above the rules until it ends.',
        },
      },
    )
    .get('/api/sockets', () => inspector.look(), {
      admin: true,
      response: { 200: Overview },
      detail: { tags, operationId: 'inspectSockets', summary: 'Connections, topics and rates of this process' },
    });
}
