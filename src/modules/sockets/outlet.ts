import type { PresenceChange, Publication } from '../../ports/bus.ts';
import type { Socket, SocketGroups } from '../../ports/sockets.ts';

/** How a wire writes what happens on a topic. */
export interface Encoder {
  /** Short and unique among encoders. */
  readonly name: string;
  publication(channel: string, publication: Publication): string;
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
  /** Tells all members. @param except id of a connection that is not told. @returns the bytes of the frame. */
  publish(publication: Publication): number;
  tellPresence(change: PresenceChange): number;
  add(subscription: Subscription): void;
  remove(subscription: Subscription): boolean;
  readonly members: ReadonlySet<Subscription>;
  readonly group: string;
  readonly encoder: Encoder;
  readonly channel: string;
}

/** The name under which the driver knows the members of a channel on one wire. */
export function groupOf(encoder: Encoder, channel: string): string {
  return `${encoder.name}:${channel}`;
}

/**
 * The members of one channel on one wire. A frame is made once for all of them; sockets get it through the driver's own
 * fan-out.
 */
export function createOutlet(
  encoder: Encoder,
  channel: string,
  groups: SocketGroups,
  findSocket: (connectionId: string) => Socket | null,
): Outlet {
  const group = groupOf(encoder, channel);
  const members = new Set<Subscription>();
  let direct: Set<Subscription> | null = null;

  const tell = (frame: string, except: string | undefined): number => {
    const excepted = except === undefined ? null : findSocket(except);
    if (excepted) excepted.publish(group, frame);
    else groups.publish(group, frame);
    if (direct) for (const member of direct) member.send(frame);
    return frame.length;
  };

  return {
    group,
    encoder,
    channel,
    members,
    publish: (publication) => tell(encoder.publication(channel, publication), publication.except),
    tellPresence(change) {
      const frame = encoder.presence?.(channel, change) ?? null;
      // Nobody is told of their own coming.
      return frame === null ? 0 : tell(frame, change.member.client);
    },
    add(subscription) {
      members.add(subscription);
      if (subscription.socket) subscription.socket.subscribe(group);
      else {
        direct ??= new Set();
        direct.add(subscription);
      }
    },
    remove(subscription) {
      if (!members.delete(subscription)) return false;
      subscription.socket?.unsubscribe(group);
      direct?.delete(subscription);
      return true;
    },
  };
}
