import type { Member, Position } from '../../ports/bus.ts';
import type { Socket } from '../../ports/sockets.ts';
import { tryRecord } from './json.ts';
import type { Subscription } from './outlet.ts';
import { channelContent, isSignedFor } from './pusher-app.ts';
import { type PusherChannel, readPusherChannel } from './pusher-channels.ts';
import type { PusherConnection } from './pusher-connection.ts';
import { pusherEncoder, pusherError, pusherFrame, pusherMembers } from './pusher-protocol.ts';

/** Most users on one presence channel, and most bytes that each may say of itself: the answer lists them all. */
const MAX_MEMBERS = 100;
const MAX_MEMBER_BYTES = 2 * 1024;

export class PusherSubscription implements Subscription {
  readonly encoder = pusherEncoder;
  readonly expiresAt = Number.POSITIVE_INFINITY;
  readonly topic: string;
  readonly channel: string;
  readonly member: Member;
  readonly #connection: PusherConnection;

  constructor(connection: PusherConnection, topic: string, channel: string, member: Member) {
    this.#connection = connection;
    this.topic = topic;
    this.channel = channel;
    this.member = member;
  }

  get socket(): Socket | null {
    return this.#connection.socket;
  }

  send(frame: string): void {
    this.#connection.send(frame);
  }

  /** Pusher promises nothing about what was missed, so there is nobody to tell. */
  onLost(): 'kept' {
    return 'kept';
  }
}

type Data = Readonly<Record<string, unknown>>;

/** `pusher:subscribe`. */
export async function subscribeToPusher(connection: PusherConnection, data: Data): Promise<void> {
  const { host, subscriptions, id } = connection;
  const { channel: name } = data;
  const channel = readPusherChannel(name);
  if (!channel || typeof name !== 'string') return refuse(connection, name, 'The channel name is invalid', 400);
  if (subscriptions.has(name)) return connection.send(pusherError(null, 'Existing subscription to this channel'));
  if (subscriptions.size >= host.limits.maxTopicsPerConnection)
    return refuse(connection, name, 'Too many channels', 403);
  const member = await findMember(connection, name, channel, data);
  if (!member) return refuse(connection, name, 'The connection is unauthorized', 401);

  const isPresence = channel.kind === 'presence';
  if (isPresence && (await isFull(connection, channel.topic, member)))
    return refuse(connection, name, 'The channel is full', 403);
  const since = channel.isCached ? await beforeLast(connection, channel.topic) : null;
  if (connection.isEnded) return;

  const subscription = new PusherSubscription(connection, channel.topic, name, member);
  subscriptions.set(name, subscription);
  await host.hub.attach(subscription, since, ({ publications }) => {
    if (!isPresence) connection.send(pusherFrame('pusher_internal:subscription_succeeded', {}, name));
    for (const publication of publications) connection.send(pusherEncoder.publication(name, publication));
    if (channel.isCached && publications.length === 0) connection.send(pusherFrame('pusher:cache_miss', {}, name));
  });
  if (!isPresence) return;
  // Those who come and go from here on are told of, so the list may only be read now.
  await host.presence.join(channel.topic, member);
  const members = await host.bus.presence.list(channel.topic);
  if (subscriptions.get(name) !== subscription) return host.presence.leave(channel.topic, id);
  connection.send(pusherFrame('pusher_internal:subscription_succeeded', pusherMembers(members), name));
}

/** Who the connection is on the channel; null when it may not be there. */
async function findMember(
  { host, app, id, caller }: PusherConnection,
  name: string,
  { kind, topic }: PusherChannel,
  { auth, channel_data: channelData }: Data,
): Promise<Member | null> {
  const nobody = { client: id, user: caller?.id ?? '' };
  if (kind === 'public') return (await host.access.allows(caller, 'subscribe', topic)) ? nobody : null;
  // Users are known by signing in.
  if (kind === 'user') return caller !== null && topic === `user.${caller.id}` ? nobody : null;
  const signed = typeof channelData === 'string' ? channelData : undefined;
  if (!isSignedFor(app, channelContent(id, name, signed), auth)) return null;
  if (kind === 'private') return nobody;

  const given = signed !== undefined && signed.length <= MAX_MEMBER_BYTES ? tryRecord(signed) : null;
  const { user_id: userId, user_info: userInfo } = given ?? {};
  if (typeof userId !== 'string' && typeof userId !== 'number') return null;
  const info = userInfo === undefined ? {} : { info: JSON.stringify(userInfo) };
  return String(userId) === '' ? null : { client: id, user: String(userId), ...info };
}

async function isFull({ host }: PusherConnection, topic: string, member: Member): Promise<boolean> {
  const { users } = await host.bus.presence.count(topic);
  if (users < MAX_MEMBERS) return false;
  return (await host.bus.presence.list(topic)).every(({ user }) => user !== member.user);
}

/** The position from which a replay has the last message. */
async function beforeLast({ host }: PusherConnection, topic: string): Promise<Position> {
  const { epoch, offset } = await host.bus.history(topic, { limit: 0 });
  return { epoch, offset: Math.max(0, offset - 1) };
}

function refuse(connection: PusherConnection, name: unknown, error: string, status: number): void {
  const channel = typeof name === 'string' ? name.slice(0, 200) : '';
  connection.send(pusherFrame('pusher:subscription_error', { type: 'AuthError', error, status }, channel));
}
