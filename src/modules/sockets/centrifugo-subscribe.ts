import type { CentrifugoConnection } from './centrifugo-connection.ts';
import { ERRORS, joinLeaveEncoder, plainEncoder, type ReplyError } from './centrifugo-protocol.ts';
import { CentrifugoSubscription, readPosition, subscribeResult } from './centrifugo-subscription.ts';
import { isTopic } from './topics.ts';

type Params = Readonly<Record<string, unknown>>;

/** `subscribe`: from the reply on, every message of the channel comes, in order, without a gap. */
export async function subscribe(connection: CentrifugoConnection, id: number, params: Params): Promise<void> {
  const { host, caller, subscriptions } = connection;
  const { channel } = params;
  const since = readPosition(params);
  if (!isTopic(channel) || since === undefined) return connection.fail(id, ERRORS.badRequest);
  const before = subscriptions.get(channel) as CentrifugoSubscription | undefined;
  if (before && !before.isServerSide) return connection.fail(id, ERRORS.alreadySubscribed);
  if (!before && subscriptions.size >= host.limits.maxTopicsPerConnection)
    return connection.fail(id, ERRORS.limitExceeded);

  const right = await findRight(connection, channel, params['token']);
  if ('code' in right) return connection.fail(id, right);
  const seesOthers = params['join_leave'] === true && (await host.access.allows(caller, 'presence', channel));
  if (connection.isEnded) return;

  // The client takes over what the server began.
  if (before) host.hub.detach(before);
  const encoder = seesOthers ? joinLeaveEncoder : plainEncoder;
  const subscription = new CentrifugoSubscription({ connection, topic: channel, encoder, expiresAt: right.expiresAt });
  subscriptions.set(channel, subscription);
  try {
    await host.hub.attach(subscription, since, (attached) => {
      const result = subscribeResult(attached, since !== null, subscription.expiresAt, host.clock.now());
      connection.reply(id, 'subscribe', result);
    });
  } catch (error) {
    if (subscriptions.get(channel) === subscription) subscriptions.delete(channel);
    throw error;
  }
  if (host.access.hasPresence(channel) && subscriptions.get(channel) === subscription) {
    host.presence.join(channel, connection.member).catch((error: unknown) => host.onFault(error, 'presence failed'));
  }
}

/** A subscription token stands above the rules; without one they decide. */
async function findRight(
  { host, caller }: CentrifugoConnection,
  channel: string,
  token: unknown,
): Promise<{ readonly expiresAt: number } | ReplyError> {
  if (token === undefined || token === '') {
    const isAllowed = await host.access.allows(caller, 'subscribe', channel);
    return isAllowed ? { expiresAt: Number.POSITIVE_INFINITY } : ERRORS.permissionDenied;
  }
  const grant = typeof token === 'string' ? host.topicTokens.verify(token) : 'invalid';
  if (grant === 'expired') return ERRORS.tokenExpired;
  if (grant === 'invalid' || grant.topic !== channel) return ERRORS.permissionDenied;
  return grant.userId === null || grant.userId === caller?.id ? grant : ERRORS.permissionDenied;
}
