import type { PresenceChange, Publication } from '../../ports/bus.ts';
import type { Socket, SocketGroups } from '../../ports/sockets.ts';
import { CompactSet } from './compact.ts';

/** How a wire writes what happens on a topic. */
export interface Encoder {
  /** Short and unique among encoders. */
  readonly name: string;
  publication(channel: string, publication: Publication): string;
  /** What may stand between two messages that go out as one frame; null where each is a frame of its own. */
  readonly separator: string | null;
  /** Null when the wire does not tell this change. */
  presence?(channel: string, change: PresenceChange): string | null;
}

/** One connection's part in one topic. */
export interface Subscription {
  readonly topic: string;
  /** The topic's name on this wire. */
  readonly channel: string;
  readonly encoder: Encoder;
  /** Null for connections that are no sockets: they are told one by one. */
  readonly socket: Socket | null;
  send(frame: string): void;
  /** Messages were lost and cannot be made up for. The subscription is detached unless it says that it can live with that. */
  onLost(): 'ended' | 'kept';
}

/** What all outlets work with. */
export interface OutletHost {
  readonly groups: SocketGroups;
  readonly findSocket: (connectionId: string) => Socket | null;
  /** Hears what was handed to the driver: bytes of the frame, and how many connections get it. */
  readonly onFanOut: (bytes: number, members: number, publishedAt: number | null) => void;
}

/**
 * What a frame costs for each member is mostly the call into the system, whatever its size. So on a busy channel with very many
 * members a message waits a moment for others to share a frame with; on a quiet one it goes with this turn of the loop.
 */
const SHARE_MS_PER_MEMBER = 0.0005;
/** A channel is busy when its last message is no longer ago. */
const BUSY_MS = 100;
/** Timers are no finer: with fewer members than this comes to, every message goes at once. */
const SHARE_MIN_MS = 1;
const SHARE_MAX_MS = 10;
const SHARE_MAX_BYTES = 32 * 1024;

/** The name under which the driver knows the members of a channel on one wire. */
export function groupOf(encoder: Encoder, channel: string): string {
  return `${encoder.name}:${channel}`;
}

/**
 * The members of one channel on one wire. A frame is made once for all of them; sockets get it through the driver's own
 * fan-out. It is a class, since every signed-in user has one.
 */
export class Outlet {
  readonly encoder: Encoder;
  readonly channel: string;
  readonly group: string;
  readonly members = new CompactSet<Subscription>();
  readonly #host: OutletHost;
  /** Members that are no sockets. */
  #direct: Set<Subscription> | null = null;
  #waiting: { readonly frame: string; readonly at: number }[] | null = null;
  #waitingBytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #immediate: ReturnType<typeof setImmediate> | undefined;
  #toldAt = 0;

  constructor(host: OutletHost, encoder: Encoder, channel: string) {
    this.#host = host;
    this.encoder = encoder;
    this.channel = channel;
    this.group = groupOf(encoder, channel);
  }

  /** Tells all members. */
  publish(publication: Publication): void {
    const frame = this.encoder.publication(this.channel, publication);
    const { at, except } = publication;
    const shareMs = Math.min(SHARE_MAX_MS, this.members.size * SHARE_MS_PER_MEMBER);
    if (except !== undefined || shareMs < SHARE_MIN_MS) {
      this.#flush();
      this.#tell(frame, except);
      this.#host.onFanOut(frame.length, this.members.size, at);
      return;
    }
    if (!this.#waiting) this.#plan(shareMs);
    this.#waiting ??= [];
    this.#waiting.push({ frame, at });
    this.#waitingBytes += frame.length;
    if (this.#waitingBytes >= SHARE_MAX_BYTES) this.#flush();
  }

  tellPresence(change: PresenceChange): void {
    const frame = this.encoder.presence?.(this.channel, change) ?? null;
    if (frame === null) return;
    this.#flush();
    // Nobody is told of their own coming.
    this.#tell(frame, change.member.client);
    this.#host.onFanOut(frame.length, this.members.size, null);
  }

  /** What was published before is not told to it. */
  add(subscription: Subscription): void {
    this.#flush();
    this.members.add(subscription);
    if (subscription.socket) {
      subscription.socket.subscribe(this.group);
    } else {
      this.#direct ??= new Set();
      this.#direct.add(subscription);
    }
  }

  /** What was published before is told to it. */
  remove(subscription: Subscription): boolean {
    if (!this.members.has(subscription)) return false;
    this.#flush();
    this.members.delete(subscription);
    subscription.socket?.unsubscribe(this.group);
    this.#direct?.delete(subscription);
    return true;
  }

  #tell(frame: string, except?: string): void {
    const { groups, findSocket } = this.#host;
    const excepted = except === undefined ? null : findSocket(except);
    if (excepted) excepted.publish(this.group, frame);
    else groups.publish(this.group, frame);
    if (this.#direct) for (const member of this.#direct) member.send(frame);
  }

  #flush(): void {
    const batch = this.#waiting;
    if (!batch) return;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#waiting = null;
    this.#waitingBytes = 0;
    this.#toldAt = performance.now();
    const { separator } = this.encoder;
    if (separator === null) for (const { frame } of batch) this.#tell(frame);
    else this.#tell(batch.map(({ frame }) => frame).join(separator));
    for (const { frame, at } of batch) this.#host.onFanOut(frame.length, this.members.size, at);
  }

  /** On a quiet channel a frame is shared by what comes within this turn of the loop. */
  #plan(shareMs: number): void {
    const flush = () => this.#flush();
    if (performance.now() - this.#toldAt < BUSY_MS) this.#timer = setTimeout(flush, shareMs);
    else this.#immediate = setImmediate(flush);
  }
}
