import { uuidv7 } from '../../kernel/ids.ts';
import type { Member } from '../../ports/bus.ts';
import {
  type Command,
  DISCONNECTS,
  ERRORS,
  errorFrame,
  type Method,
  PING_FRAME,
  plainEncoder,
  type ReplyError,
  readCommand,
  replyFrame,
  UNSUBSCRIBES,
  unsubscribeFrame,
} from './centrifugo-protocol.ts';
import { answerRequest } from './centrifugo-requests.ts';
import { subscribe } from './centrifugo-subscribe.ts';
import { CentrifugoSubscription, readPosition, secondsUntil, subscribeResult } from './centrifugo-subscription.ts';
import { Connection } from './connection.ts';
import type { Host } from './host.ts';
import { isRecord } from './json.ts';
import { userTopic } from './topics.ts';

/** A client that speaks Centrifugo's JSON protocol over a WebSocket. */
export class CentrifugoConnection extends Connection {
  override readonly wire = 'centrifugo';
  override readonly verdicts = DISCONNECTS;
  override readonly id: string;

  constructor(host: Host) {
    super(host);
    this.id = uuidv7(host.clock.now());
  }

  /** A frame holds one or more commands, one a line. */
  protected override split(frame: string): readonly string[] {
    return frame.includes('\n') ? frame.split('\n').filter((line) => line !== '') : [frame];
  }

  protected override handle(text: string): void | Promise<void> {
    const command = readCommand(text);
    if (!command) return this.end(DISCONNECTS.malformed);
    const { id, method } = command;
    if (!this.spend()) return id > 0 ? this.fail(id, ERRORS.tooManyRequests) : undefined;
    if (method === 'pong') return;
    if (method === 'connect') return this.#connect(command);
    if (!this.isIntroduced) return this.end(DISCONNECTS.malformed);
    if (method === null) return this.fail(id, ERRORS.methodNotFound);
    switch (method) {
      case 'ping':
        return this.reply(id, method, '{}');
      case 'subscribe':
        return this.#guard(id, subscribe(this, id, command.params));
      case 'refresh':
        return this.#guard(id, this.#refresh(command));
      default:
        return this.#guard(id, answerRequest(this, command));
    }
  }

  protected override ping(): void {
    this.send(PING_FRAME);
  }

  protected override onSubscriptionExpired(channel: string): void {
    this.drop(channel, unsubscribeFrame(channel, UNSUBSCRIBES.expired));
  }

  override loseTopic(topic: string): void {
    this.drop(topic, unsubscribeFrame(topic, UNSUBSCRIBES.server));
  }

  reply(id: number, method: Method, result: string): void {
    this.send(replyFrame(id, method, result));
  }

  fail(id: number, error: ReplyError): void {
    this.send(errorFrame(id, error));
  }

  /** What this connection shows of itself on topics. */
  get member(): Member {
    return memberOf(this);
  }

  async #connect({ id, params }: Command): Promise<void> {
    if (this.isIntroduced) return this.end(DISCONNECTS.malformed);
    const { token, subs } = params;
    if (token !== undefined && token !== '') {
      const found = typeof token === 'string' ? await this.host.authenticate(token) : 'invalid';
      if (found === 'expired') return this.fail(id, ERRORS.tokenExpired);
      if (found === 'invalid') return this.end(DISCONNECTS.revoked);
      if (this.isEnded) return;
      if (!this.adopt(found.caller, found.expiresAt)) return this.end(DISCONNECTS.tooMany);
    }
    this.isIntroduced = true;
    if (this.caller?.kind !== 'user') return this.reply(id, 'connect', this.#connectResult(''));

    // Every signed-in connection hears its user's topic; the reply stands before the first live message.
    const topic = userTopic(this.caller.id);
    const wanted = isRecord(subs) && isRecord(subs[topic]) ? subs[topic] : {};
    const since = readPosition(wanted) ?? null;
    const subscription = new CentrifugoSubscription({
      connection: this,
      topic,
      encoder: plainEncoder,
      isServerSide: true,
    });
    this.subscriptions.set(topic, subscription);
    await this.host.hub.attach(subscription, since, (attached) => {
      const result = subscribeResult(attached, since !== null, subscription.expiresAt, this.host.clock.now());
      this.reply(id, 'connect', this.#connectResult(`,"subs":{${JSON.stringify(topic)}:${result}}`));
    });
  }

  #connectResult(subs: string): string {
    const { version, limits } = this.host;
    return `{"client":"${this.id}","version":${JSON.stringify(version)}${this.#expiry()},"ping":${limits.pingMs / 1000},"pong":true${subs}}`;
  }

  #expiry(): string {
    const ttl = secondsUntil(this.expiresAt, this.host.clock.now());
    return Number.isFinite(this.expiresAt) ? `,"expires":true,"ttl":${ttl}` : '';
  }

  /** A new token of the same user. */
  async #refresh({ id, params: { token } }: Command): Promise<void> {
    const found = typeof token === 'string' ? await this.host.authenticate(token) : 'invalid';
    if (found === 'expired') return this.fail(id, ERRORS.tokenExpired);
    if (found === 'invalid' || found.caller.id !== this.caller?.id) return this.end(DISCONNECTS.revoked);
    this.renew(found.caller, found.expiresAt);
    const { version } = this.host;
    this.reply(id, 'refresh', `{"client":"${this.id}","version":${JSON.stringify(version)}${this.#expiry()}}`);
  }

  /** A part that cannot be reached is told as temporary: the client tries again. */
  async #guard(id: number, work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.host.onFault(error, 'a command failed');
      if (id > 0) this.fail(id, ERRORS.internal);
    }
  }
}

/** Who a connection is, as others on its topics see it: the name of the account, never its address. */
export function memberOf(connection: Connection): Member {
  const { caller, id } = connection;
  if (caller?.kind !== 'user') return { client: id, user: caller?.id ?? '' };
  return { client: id, user: caller.id, info: JSON.stringify({ name: caller.account.name }) };
}
