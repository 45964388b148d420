import type { PresenceChange, Publication } from '../../ports/bus.ts';
import type { Socket, SocketGroups } from '../../ports/sockets.ts';

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

export interface Outlet {
  /** Tells all members. */
  publish(publication: Publication): void;
  tellPresence(change: PresenceChange): void;
  /** What was published before is not told to it. */
  add(subscription: Subscription): void;
  /** What was published before is told to it. */
  remove(subscription: Subscription): boolean;
  readonly members: ReadonlySet<Subscription>;
  readonly group: string;
  readonly encoder: Encoder;
  readonly channel: string;
}

export interface OutletOptions {
  readonly encoder: Encoder;
  readonly channel: string;
  readonly groups: SocketGroups;
  readonly findSocket: (connectionId: string) => Socket | null;
  /** Hears what was handed to the driver: bytes of the frame, and how many connections get it. */
  readonly onFanOut: (bytes: number, members: number, publishedAt: number | null) => void;
}

/**
 * What a frame costs for each member is mostly the call into the system, whatever its size. So on a busy channel with very many
 * members a message waits a moment for others to share a frame with; on a quiet one it goes at once.
 */
const SHARE_MS_PER_MEMBER = 0.0005;
/** A channel is busy when its last message is no longer ago. */
const BUSY_MS = 100;
const SHARE_MIN_MS = 1;
const SHARE_MAX_MS = 10;
const SHARE_MAX_BYTES = 32 * 1024;

/** The name under which the driver knows the members of a channel on one wire. */
export function groupOf(encoder: Encoder, channel: string): string {
  return `${encoder.name}:${channel}`;
}

/**
 * The members of one channel on one wire. A frame is made once for all of them; sockets get it through the driver's own
 * fan-out.
 */
export function createOutlet({ encoder, channel, groups, findSocket, onFanOut }: OutletOptions): Outlet {
  const group = groupOf(encoder, channel);
  const members = new Set<Subscription>();
  let direct: Set<Subscription> | null = null;
  let waiting: { readonly frame: string; readonly at: number }[] = [];
  let waitingBytes = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let toldAt = Number.NEGATIVE_INFINITY;

  const tell = (frame: string, except?: string) => {
    const excepted = except === undefined ? null : findSocket(except);
    if (excepted) excepted.publish(group, frame);
    else groups.publish(group, frame);
    if (direct) for (const member of direct) member.send(frame);
  };

  const flush = () => {
    if (waiting.length === 0) return;
    clearTimeout(timer);
    const batch = waiting;
    waiting = [];
    waitingBytes = 0;
    toldAt = performance.now();
    if (encoder.separator === null) for (const { frame } of batch) tell(frame);
    else tell(batch.map(({ frame }) => frame).join(encoder.separator));
    for (const { frame, at } of batch) onFanOut(frame.length, members.size, at);
  };

  /** How long the next frame waits for others; 0 when it goes at once. */
  const shareMs = () => {
    const waitMs = Math.min(SHARE_MAX_MS, members.size * SHARE_MS_PER_MEMBER);
    return waitMs < SHARE_MIN_MS || performance.now() - toldAt > BUSY_MS ? 0 : waitMs;
  };

  return {
    group,
    encoder,
    channel,
    members,
    publish(publication) {
      const frame = encoder.publication(channel, publication);
      const { at, except } = publication;
      if (except !== undefined) {
        flush();
        tell(frame, except);
        onFanOut(frame.length, members.size, at);
        return;
      }
      const waitMs = waiting.length === 0 ? shareMs() : 0;
      waiting.push({ frame, at });
      waitingBytes += frame.length;
      const isFirst = waiting.length === 1;
      if ((isFirst && waitMs === 0) || waitingBytes >= SHARE_MAX_BYTES) flush();
      else if (isFirst) timer = setTimeout(flush, waitMs);
    },
    tellPresence(change) {
      const frame = encoder.presence?.(channel, change) ?? null;
      if (frame === null) return;
      flush();
      // Nobody is told of their own coming.
      tell(frame, change.member.client);
      onFanOut(frame.length, members.size, null);
    },
    add(subscription) {
      flush();
      members.add(subscription);
      if (subscription.socket) subscription.socket.subscribe(group);
      else {
        direct ??= new Set();
        direct.add(subscription);
      }
    },
    remove(subscription) {
      if (!members.has(subscription)) return false;
      flush();
      members.delete(subscription);
      subscription.socket?.unsubscribe(group);
      direct?.delete(subscription);
      return true;
    },
  };
}
