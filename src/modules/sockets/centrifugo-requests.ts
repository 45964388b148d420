import { AppError } from '../../kernel/errors.ts';
import type { CentrifugoConnection } from './centrifugo-connection.ts';
import { type Command, ERRORS, memberText, publicationText } from './centrifugo-protocol.ts';
import { type CentrifugoSubscription, secondsUntil } from './centrifugo-subscription.ts';
import { isRecord } from './json.ts';
import { socketProblems } from './problems.ts';
import type { TopicAction } from './rules.ts';
import { isTopic } from './topics.ts';

type Answer = (connection: CentrifugoConnection, command: Command) => Promise<void>;

/** Answers the requests that change nothing about the connection itself. */
export async function answerRequest(connection: CentrifugoConnection, command: Command): Promise<void> {
  const answer = ANSWERS[command.method as keyof typeof ANSWERS];
  if (!answer) return connection.fail(command.id, ERRORS.methodNotFound);
  await answer(connection, command);
}

const ANSWERS: Readonly<Partial<Record<string, Answer>>> = {
  async unsubscribe(connection, { id, params: { channel } }) {
    if (!isTopic(channel)) return connection.fail(id, ERRORS.badRequest);
    connection.drop(channel, null);
    connection.reply(id, 'unsubscribe', '{}');
  },

  publish: withTopic('publish', async (connection, { id, params: { channel, data } }) => {
    if (data === undefined) return connection.fail(id, ERRORS.badRequest);
    try {
      const from = connection.member;
      const { offset, epoch } = await connection.host.publisher.publish({ topic: channel as string, data, from });
      connection.reply(id, 'publish', JSON.stringify({ offset, epoch }));
    } catch (error) {
      if (!socketProblems.is(error, 'message-too-large')) throw error;
      connection.fail(id, ERRORS.limitExceeded);
    }
  }),

  presence: withTopic('presence', async (connection, { id, params: { channel } }) => {
    const members = await connection.host.bus.presence.list(channel as string);
    const entries = members.map((member) => `${JSON.stringify(member.client)}:${memberText(member)}`);
    connection.reply(id, 'presence', `{"presence":{${entries.join(',')}}}`);
  }),

  presence_stats: withTopic('presence', async (connection, { id, params: { channel } }) => {
    const { clients, users } = await connection.host.bus.presence.count(channel as string);
    connection.reply(id, 'presence_stats', `{"num_clients":${clients},"num_users":${users}}`);
  }),

  history: withTopic('history', async (connection, { id, params }) => {
    const { channel, limit = 0, since, reverse } = params;
    const position = isRecord(since) ? { epoch: since['epoch'] ?? '', offset: since['offset'] ?? 0 } : null;
    const isValid =
      Number.isSafeInteger(limit) &&
      (!position || (typeof position.epoch === 'string' && Number.isSafeInteger(position.offset)));
    if (!isValid) return connection.fail(id, ERRORS.badRequest);
    const page = await connection.host.bus.history(channel as string, {
      // A negative number asks for all there is.
      limit: (limit as number) < 0 ? Number.MAX_SAFE_INTEGER : (limit as number),
      isReverse: reverse === true,
      ...(position ? { since: position as { epoch: string; offset: number } } : {}),
    });
    // Without an epoch the client has nothing to compare.
    if (position?.epoch && position.epoch !== page.epoch) return connection.fail(id, ERRORS.unrecoverablePosition);
    const publications = page.publications.map(publicationText).join(',');
    const result = `{"publications":[${publications}],"epoch":${JSON.stringify(page.epoch)},"offset":${page.offset}}`;
    connection.reply(id, 'history', result);
  }),

  async rpc(connection, { id, params: { method, data } }) {
    const { host, caller } = connection;
    if (typeof method !== 'string') return connection.fail(id, ERRORS.badRequest);
    try {
      const answer = await host.rpc({ method, data, caller, connectionId: connection.id });
      if (!answer) return connection.fail(id, ERRORS.methodNotFound);
      connection.reply(id, 'rpc', `{"data":${JSON.stringify(answer.data) ?? 'null'}}`);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      connection.fail(id, { code: 400 + error.problem.status, message: error.code });
    }
  },

  async send() {
    // Accepted and dropped: nothing of ours listens to messages that are for no topic.
  },

  async sub_refresh(connection, { id, params: { channel, token } }) {
    const { host, caller, subscriptions } = connection;
    if (!isTopic(channel) || typeof token !== 'string') return connection.fail(id, ERRORS.badRequest);
    const subscription = subscriptions.get(channel) as CentrifugoSubscription | undefined;
    if (!subscription) return connection.fail(id, ERRORS.notSubscribed);
    const grant = host.topicTokens.verify(token);
    if (grant === 'expired') return connection.fail(id, ERRORS.tokenExpired);
    const isTheirs = grant !== 'invalid' && grant.topic === channel && (grant.userId ?? caller?.id) === caller?.id;
    if (!isTheirs) return connection.fail(id, ERRORS.permissionDenied);
    subscription.expiresAt = grant.expiresAt;
    const ttl = secondsUntil(grant.expiresAt, host.clock.now());
    connection.reply(id, 'sub_refresh', `{"expires":true,"ttl":${ttl}}`);
  },
};

/** Asks for the right first, and for a name that may be a topic's. */
function withTopic(action: TopicAction, answer: Answer): Answer {
  return async (connection, command) => {
    const { host, caller } = connection;
    const { channel } = command.params;
    if (!isTopic(channel)) return connection.fail(command.id, ERRORS.badRequest);
    if (!(await host.access.allows(caller, action, channel)))
      return connection.fail(command.id, ERRORS.permissionDenied);
    await answer(connection, command);
  };
}
