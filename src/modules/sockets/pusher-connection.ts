import type { UserCaller } from '../../kernel/caller.ts';
import type { Socket } from '../../ports/sockets.ts';
import { Connection } from './connection.ts';
import type { Host } from './host.ts';
import { isRecord, tryRecord } from './json.ts';
import { socketProblems } from './problems.ts';
import { isSignedFor, type PusherApp, userContent } from './pusher-app.ts';
import { readPusherChannel } from './pusher-channels.ts';
import { PUSHER_CLOSES, PUSHER_ERRORS, pusherError, pusherFrame, toJsonText } from './pusher-protocol.ts';
import { type PusherSubscription, subscribeToPusher } from './pusher-subscribe.ts';

/** Most bytes of what a user or a member says of itself. */
const MAX_USER_BYTES = 2 * 1024;
/** Different logins that may sign for one socket; more than one is rare. */
const MAX_LOGINS = 16;
/** Client events have names of at most this. */
const MAX_EVENT_NAME = 200;

/** A client that speaks Pusher's protocol 7. */
export class PusherConnection extends Connection {
  override readonly wire = 'pusher';
  override readonly verdicts = PUSHER_CLOSES;
  /** The socket id: digits, a point, digits, as server libraries insist. */
  override readonly id: string;
  readonly app: PusherApp;
  readonly #isKnownApp: boolean;
  /** Logins whose signatures this socket was given. */
  #logins: { readonly userId: string; readonly sessionId: string }[] = [];

  constructor(host: Host, app: PusherApp, key: string) {
    super(host);
    this.app = app;
    this.#isKnownApp = key === app.key;
    const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
    this.id = `${high}.${low}`;
  }

  override open(socket: Socket): void {
    super.open(socket);
    if (!this.#isKnownApp) {
      this.send(pusherError(PUSHER_CLOSES.unknownApp.code, PUSHER_CLOSES.unknownApp.reason));
      this.end(PUSHER_CLOSES.unknownApp);
    }
    this.isIntroduced = true;
    // Without the timeout pusher-js fails; it asks for a sign of life itself after that much silence.
    const activity_timeout = Math.ceil((this.host.limits.pingMs + this.host.limits.pongMs) / 1000);
    this.send(pusherFrame('pusher:connection_established', { socket_id: this.id, activity_timeout }));
  }

  protected override handle(text: string): void | Promise<void> {
    const message = readMessage(text);
    if (!message) return this.send(pusherError(null, 'Invalid message'));
    const { event, channel, data } = message;
    if (!this.spend()) return this.send(pusherError(PUSHER_ERRORS.clientEventRejected, 'Too many messages'));
    switch (event) {
      case 'pusher:ping':
        return this.send(pusherFrame('pusher:pong', {}));
      case 'pusher:pong':
        return;
      case 'pusher:subscribe':
        return subscribeToPusher(this, data);
      case 'pusher:unsubscribe':
        return this.drop(String(data['channel']), null);
      case 'pusher:signin':
        return this.#signIn(data);
    }
    if (event.startsWith('client-')) return this.#relay(event, channel, message.rawData);
    this.send(pusherError(null, 'Unknown event'));
  }

  /** What a login has signed stays good as long as the socket, so the socket ends with the login. */
  override vouch(userId: string, sessionId: string): void {
    if (this.restsOn(userId, sessionId) || this.#logins.length >= MAX_LOGINS) return;
    this.#logins.push({ userId, sessionId });
    this.host.registry.vouch(this, userId);
  }

  override restsOn(userId: string, sessionId: string | null): boolean {
    const isOf = (login: { readonly userId: string; readonly sessionId: string }) =>
      login.userId === userId && (sessionId === null || sessionId === login.sessionId);
    return super.restsOn(userId, sessionId) || this.#logins.some(isOf);
  }

  protected override ping(): void {
    this.send(pusherFrame('pusher:ping', {}));
  }

  protected override onSubscriptionExpired(channel: string): void {
    this.drop(channel, null);
  }

  override loseTopic(topic: string): void {
    for (const [channel, subscription] of this.subscriptions) {
      if (subscription.topic !== topic) continue;
      this.drop(
        channel,
        pusherFrame('pusher:subscription_error', { type: 'AuthError', error: 'Access ended', status: 403 }, channel),
      );
    }
  }

  /** Sign-in (https://pusher.com/docs/channels/using_channels/user-authentication/). */
  #signIn({ auth, user_data: userData }: Readonly<Record<string, unknown>>): void {
    const isSigned = typeof userData === 'string' && isSignedFor(this.app, userContent(this.id, userData), auth);
    const user = isSigned && userData.length <= MAX_USER_BYTES ? tryRecord(userData) : null;
    const id = user?.['id'];
    if (typeof id !== 'string' || id === '' || this.caller) {
      this.send(pusherError(PUSHER_ERRORS.unauthorized, 'Sign-in refused'));
    } else if (this.adopt(pusherCaller(id), Number.POSITIVE_INFINITY)) {
      this.send(pusherFrame('pusher:signin_success', { user_data: userData }));
    } else {
      this.end(PUSHER_CLOSES.tooMany);
    }
  }

  /** Client events: from members of private and presence channels to all others there, as far as publishing is allowed. */
  async #relay(name: string, channel: unknown, data: unknown): Promise<void> {
    const subscription = this.subscriptions.get(String(channel)) as PusherSubscription | undefined;
    const kind = readPusherChannel(channel)?.kind;
    if (!subscription || (kind !== 'private' && kind !== 'presence')) {
      return this.send(pusherError(PUSHER_ERRORS.unauthorized, 'Client events are for members of private channels'));
    }
    const { topic, member } = subscription;
    const isAllowed = await this.host.access.allows(this.caller ?? pusherCaller(member.user), 'publish', topic);
    if (!isAllowed || name.length > MAX_EVENT_NAME) {
      return this.send(pusherError(PUSHER_ERRORS.clientEventRejected, 'Client events are not allowed on this channel'));
    }
    try {
      await this.host.publisher.publishText(topic, { data: toJsonText(data), name, from: member, except: this.id });
    } catch (error) {
      if (!socketProblems.is(error, 'message-too-large')) throw error;
      this.send(pusherError(PUSHER_ERRORS.clientEventRejected, 'The message is too large'));
    }
  }
}

/** Somebody whom the application vouches for: a user, as far as rules go. */
export function pusherCaller(id: string): UserCaller {
  const account = { id, email: '', name: '', role: 'user', emailVerified: false, createdAt: '' } as const;
  return { kind: 'user', id, role: 'user', account, sessionId: '', via: 'bearer' };
}

interface PusherMessage {
  readonly event: string;
  readonly channel: unknown;
  /** Empty when it is no object. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly rawData: unknown;
}

function readMessage(text: string): PusherMessage | null {
  const message = tryRecord(text);
  if (!message || typeof message['event'] !== 'string') return null;
  const { event, channel, data } = message;
  // Some clients send their data as text here, too.
  const record = typeof data === 'string' ? tryRecord(data) : data;
  return { event, channel, data: isRecord(record) ? record : {}, rawData: data };
}
