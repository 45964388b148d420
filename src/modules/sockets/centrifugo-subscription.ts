import type { Position } from '../../ports/bus.ts';
import type { Socket } from '../../ports/sockets.ts';
import { DISCONNECTS, publicationText, UNSUBSCRIBES, unsubscribeFrame } from './centrifugo-protocol.ts';
import type { Connection } from './connection.ts';
import type { Attached } from './hub.ts';
import type { Encoder, Subscription } from './outlet.ts';

export interface CentrifugoSubscriptionOptions {
  readonly connection: Connection;
  readonly topic: string;
  readonly encoder: Encoder;
  /** The server began it; the client has no say in it. */
  readonly isServerSide?: boolean;
  readonly expiresAt?: number;
}

/** A client's subscription to a topic. */
export class CentrifugoSubscription implements Subscription {
  readonly topic: string;
  readonly encoder: Encoder;
  readonly isServerSide: boolean;
  expiresAt: number;
  readonly #connection: Connection;

  constructor({ connection, topic, encoder, isServerSide = false, expiresAt }: CentrifugoSubscriptionOptions) {
    this.#connection = connection;
    this.topic = topic;
    this.encoder = encoder;
    this.isServerSide = isServerSide;
    this.expiresAt = expiresAt ?? Number.POSITIVE_INFINITY;
  }

  get channel(): string {
    return this.topic;
  }

  get socket(): Socket | null {
    return this.#connection.socket;
  }

  send(frame: string): void {
    this.#connection.send(frame);
  }

  /** The client subscribes again, tries to recover and is told whether it could. */
  onLost(): 'ended' {
    if (this.isServerSide) this.#connection.end(DISCONNECTS.insufficientState);
    else this.#connection.drop(this.channel, unsubscribeFrame(this.channel, UNSUBSCRIBES.insufficientState));
    return 'ended';
  }
}

/** The `SubscribeResult` message as JSON text. Every stream can be recovered. */
export function subscribeResult(attached: Attached, wasRecovering: boolean, expiresAt: number, now: number): string {
  const { epoch, offset, isRecovered, publications } = attached;
  const recovery = wasRecovering
    ? `,"was_recovering":true,"recovered":${isRecovered},"publications":[${publications.map(publicationText).join(',')}]`
    : '';
  const expiry = Number.isFinite(expiresAt) ? `,"expires":true,"ttl":${secondsUntil(expiresAt, now)}` : '';
  return `{"recoverable":true,"positioned":true,"epoch":${JSON.stringify(epoch)},"offset":${offset}${recovery}${expiry}}`;
}

/** Whole seconds, at least one: 0 would mean that there is no end. */
export function secondsUntil(at: number, now: number): number {
  return Math.max(1, Math.floor((at - now) / 1000));
}

/** The position a request asks to recover from; null when it asks for none, undefined when it is malformed. */
export function readPosition(params: Readonly<Record<string, unknown>>): Position | null | undefined {
  if (params['recover'] !== true) return null;
  // Protobuf's JSON leaves out what is zero or empty.
  const { epoch = '', offset = 0 } = params;
  const isValid =
    typeof epoch === 'string' && typeof offset === 'number' && Number.isSafeInteger(offset) && offset >= 0;
  return isValid ? { epoch, offset } : undefined;
}
