import type { Member, PresenceChange, PresenceStore } from '../ports/bus.ts';
import type { Clock } from '../ports/clock.ts';
import { createPresenceSweeper } from './presence-sweeper.ts';

interface Room {
  readonly members: Map<string, Member>;
  /** Connections of each user. */
  readonly users: Map<string, number>;
  /** When those go that were lost. */
  readonly ends: Map<string, number>;
  /** By user: the lost connection that stands for them until it goes or they are back for good. */
  readonly standIns: Map<string, string>;
  /** By user: connections that came while another stood for them; their coming is not told yet. */
  readonly quiet: Map<string, Set<string>>;
}

/**
 * Presence within one process. Leases are for lost connections only: every member is a connection of this process, which takes
 * its leave when it closes, and both end together.
 */
export function memoryPresence(clock: Clock, tell: (topic: string, change: PresenceChange) => void) {
  const rooms = new Map<string, Room>();
  const sweeper = createPresenceSweeper((topic) => void swept(topic));

  const leave = (topic: string, room: Room, client: string) => {
    const member = room.members.get(client);
    if (!member) return;
    const { user } = member;
    room.members.delete(client);
    room.ends.delete(client);
    const left = (room.users.get(user) ?? 1) - 1;
    if (left === 0) room.users.delete(user);
    else room.users.set(user, left);
    if (room.members.size === 0) rooms.delete(topic);
    const quiet = room.quiet.get(user);
    if (quiet?.delete(client)) return;
    if (room.standIns.get(user) === client) {
      room.standIns.delete(user);
      room.quiet.delete(user);
      for (const each of quiet ?? []) {
        const back = room.members.get(each);
        if (back) tell(topic, { kind: 'join', member: back, isEdge: false });
      }
    }
    tell(topic, { kind: 'leave', member, isEdge: left === 0 });
  };

  /** The room without those whose time is over. */
  const swept = (topic: string): Room | undefined => {
    const room = rooms.get(topic);
    for (const [client, end] of room?.ends ?? []) {
      if (room && end <= clock.now()) leave(topic, room, client);
    }
    return rooms.get(topic);
  };

  const createRoom = (): Room => ({
    members: new Map(),
    users: new Map(),
    ends: new Map(),
    standIns: new Map(),
    quiet: new Map(),
  });

  const store: PresenceStore = {
    async join(topic, member) {
      const room = swept(topic) ?? createRoom();
      const { client, user } = member;
      if (room.members.has(client)) return;
      rooms.set(topic, room);
      room.members.set(client, member);
      const before = room.users.get(user) ?? 0;
      room.users.set(user, before + 1);
      if (room.standIns.has(user)) room.quiet.set(user, (room.quiet.get(user) ?? new Set()).add(client));
      else tell(topic, { kind: 'join', member, isEdge: before === 0 });
    },
    async leave(topic, client) {
      const room = swept(topic);
      if (room) leave(topic, room, client);
    },
    async fade(topic, client, graceMs) {
      const room = swept(topic);
      const member = room?.members.get(client);
      if (!room || !member) return;
      const end = clock.now() + graceMs;
      if (room.quiet.get(member.user)?.has(client)) {
        leave(topic, room, client);
        room.ends.set(room.standIns.get(member.user) as string, end);
      } else {
        room.ends.set(client, end);
        if (member.user !== '') room.standIns.set(member.user, client);
      }
      sweeper.plan(topic, graceMs);
    },
    touch: async () => undefined,
    list: async (topic) => [...(swept(topic)?.members.values() ?? [])],
    async count(topic) {
      const room = swept(topic);
      return { clients: room?.members.size ?? 0, users: room?.users.size ?? 0 };
    },
  };
  return { store, close: () => sweeper.close() };
}
