import type { Caller } from '../../kernel/caller.ts';
import type { Socket, SocketHandler } from '../../ports/sockets.ts';
import { CompactMap } from './compact.ts';
import type { Host } from './host.ts';
import { Inbox, type InboxOwner } from './inbox.ts';
import type { SocketLimits } from './limits.ts';
import type { Subscription } from './outlet.ts';

/** Why a connection ends, in the words of its wire. */
export interface Verdict {
  readonly code: number;
  readonly reason: string;
}

/** The endings that every wire has, each with its own code. */
export interface Verdicts {
  readonly shutdown: Verdict;
  readonly slow: Verdict;
  readonly noPong: Verdict;
  readonly stale: Verdict;
  readonly expired: Verdict;
  readonly revoked: Verdict;
  readonly tooMany: Verdict;
  readonly flooding: Verdict;
  readonly malformed: Verdict;
  readonly internal: Verdict;
}

/** A client that does not answer the closing handshake is cut after this. */
const CLOSE_GRACE_MS = 5_000;
/** Codes of clients that close because they are done (RFC 6455 §7.4.1): on purpose, or without saying why. */
const FAREWELLS: readonly number[] = [1000, 1005];

/**
 * One client, whatever it speaks: its place in the registry, its order of commands, its life signs and its end. Wires extend
 * it. It is a class, since there are very many of them.
 */
export abstract class Connection implements SocketHandler, InboxOwner {
  abstract readonly wire: string;
  abstract readonly verdicts: Verdicts;
  abstract readonly id: string;
  readonly host: Host;
  readonly openedAt: number;
  caller: Caller | null = null;
  /** The login that the connection rests on; null when on none. */
  sessionId: string | null = null;
  /** When the caller's token ends, in milliseconds since the epoch. */
  expiresAt = Number.POSITIVE_INFINITY;
  /** Nothing is served before the client has said who it is. */
  isIntroduced = false;
  isEnded = false;
  /** By the name of the channel on this wire. */
  readonly subscriptions = new CompactMap<string, Subscription & { readonly expiresAt: number }>();
  socket: Socket | null = null;
  readonly #inbox = new Inbox(this);
  #heardAt: number;
  #pingedAt: number;
  #endedAt = 0;
  #endedWith = 0;
  #tokens: number;
  #tokensAt: number;

  constructor(host: Host) {
    this.host = host;
    this.openedAt = this.#heardAt = this.#pingedAt = this.#tokensAt = host.clock.now();
    this.#tokens = host.limits.commandBurst;
  }

  /** The commands in a frame, in order. */
  protected split(frame: string): readonly string[] {
    return [frame];
  }
  /** Handles one command; the next waits until it is done. */
  protected abstract handle(command: string): void | Promise<void>;
  /** Asks the client for a sign of life. */
  protected abstract ping(): void;
  /** A subscription's own right to exist has ended. */
  protected abstract onSubscriptionExpired(channel: string): void;
  /** The user lost one topic. */
  abstract loseTopic(topic: string): void;

  open(socket: Socket): void {
    this.socket = socket;
    const refusal = this.host.registry.add(this);
    if (refusal) this.end(this.verdicts[refusal]);
  }

  message(frame: string | Uint8Array): void {
    if (this.isEnded) return;
    this.noteLife();
    if (typeof frame !== 'string' || frame.length > this.host.limits.maxFrameBytes) {
      this.end(this.verdicts.malformed);
      return;
    }
    for (const command of this.split(frame)) {
      if (!this.#inbox.push(command)) this.end(this.verdicts.flooding);
      if (this.isEnded) return;
    }
  }

  get limits(): SocketLimits {
    return this.host.limits;
  }

  /** What a client asks for while it does not read would pile up here. */
  get isPaused(): boolean {
    return this.backlogBytes > this.limits.pauseBacklogBytes;
  }

  carryOut(command: string): void | Promise<void> {
    if (this.isEnded) return;
    try {
      const done = this.handle(command);
      return done?.catch((error: unknown) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  drain(): void {
    this.#inbox.resume();
  }

  close(code: number): void {
    this.#leave(!FAREWELLS.includes(code));
    this.host.registry.remove(this);
    this.host.onClosed(this.wire, this.#endedWith || code);
    this.socket = null;
  }

  send(frame: string): void {
    if (!this.socket || this.isEnded) return;
    this.socket.send(frame);
    this.host.registry.onSent(frame.length);
  }

  /** Makes the connection somebody's. False when they have too many. */
  adopt(caller: Caller, expiresAt: number): boolean {
    if (caller.kind === 'user' && !this.host.registry.claim(this, caller.id)) return false;
    this.renew(caller, expiresAt);
    return true;
  }

  /** The same caller, with a token that lasts longer. */
  renew(caller: Caller, expiresAt: number): void {
    this.caller = caller;
    this.sessionId = caller.kind === 'user' ? caller.sessionId : null;
    this.expiresAt = expiresAt;
  }

  /** Whether it has to end when a login of the user ends; `null` stands for all of them. */
  restsOn(userId: string, sessionId: string | null): boolean {
    return this.caller?.id === userId && (sessionId === null || sessionId === this.sessionId);
  }

  /** A login has signed for this connection. */
  vouch(_userId: string, _sessionId: string): void {
    // Wires without signatures have nothing to note.
  }

  /** Ends one subscription. @param farewell frame that tells the client; null when it asked for this. */
  drop(channel: string, farewell: string | null): void {
    const subscription = this.subscriptions.get(channel);
    if (!subscription) return;
    this.subscriptions.delete(channel);
    this.host.hub.detach(subscription);
    this.host.presence.leave(subscription.topic, this.id);
    if (farewell !== null) this.send(farewell);
  }

  /** Ends the connection with a code. Nothing is delivered to it from here on. */
  end(verdict: Verdict): void {
    if (this.isEnded) return;
    this.#leave(verdict !== this.verdicts.revoked);
    this.#endedAt = this.host.clock.now();
    this.#endedWith = verdict.code;
    this.socket?.close(verdict.code, verdict.reason);
  }

  /** Counts as a sign of life. */
  protected noteLife(): void {
    this.#heardAt = this.host.clock.now();
  }

  get backlogBytes(): number {
    return this.socket?.getBufferedAmount() ?? 0;
  }

  /** Whether one more command may be handled now: a burst at once, then so many a second. */
  spend(): boolean {
    const { commandBurst, commandsPerSecond } = this.host.limits;
    const now = this.host.clock.now();
    const earned = ((now - this.#tokensAt) / 1000) * commandsPerSecond;
    this.#tokens = Math.min(commandBurst, this.#tokens + earned) - 1;
    this.#tokensAt = now;
    if (this.#tokens < -commandBurst) this.end(this.verdicts.flooding);
    return this.#tokens >= 0;
  }

  /** Looks after deadlines; called about once a second. */
  tick(now: number): void {
    const { limits } = this.host;
    if (this.isEnded) {
      if (now - this.#endedAt > CLOSE_GRACE_MS) this.socket?.terminate();
      return;
    }
    const overdue = this.#findOverdue(now);
    if (overdue) {
      this.end(overdue);
      return;
    }
    if (this.isIntroduced && now - this.#pingedAt >= limits.pingMs) {
      this.#pingedAt = now;
      this.ping();
    }
    for (const [channel, { expiresAt }] of this.subscriptions) {
      if (now > expiresAt + limits.expiryGraceMs) this.onSubscriptionExpired(channel);
    }
  }

  #findOverdue(now: number): Verdict | null {
    const { connectDeadlineMs, expiryGraceMs, pongMs } = this.host.limits;
    if (!this.isIntroduced && now - this.openedAt > connectDeadlineMs) return this.verdicts.stale;
    if (now > this.expiresAt + expiryGraceMs) return this.verdicts.expired;
    const isSilent = this.#heardAt < this.#pingedAt && now - this.#pingedAt > pongMs;
    return isSilent ? this.verdicts.noPong : null;
  }

  #fail(error: unknown): void {
    this.host.onFault(error, 'a command could not be handled');
    this.end(this.verdicts.internal);
  }

  /** @param isLost the client may be back in a moment. */
  #leave(isLost: boolean): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.#inbox.clear();
    for (const subscription of this.subscriptions.values()) {
      this.host.hub.detach(subscription);
      this.host.presence.leave(subscription.topic, this.id, isLost);
    }
    this.subscriptions.clear();
  }
}
