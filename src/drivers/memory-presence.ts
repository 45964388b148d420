import type { Member, PresenceChange, PresenceStore } from '../ports/bus.ts';

interface Room {
  readonly members: Map<string, Member>;
  /** Connections of each user. */
  readonly users: Map<string, number>;
}

/**
 * Presence within one process. Leases need no clock here: every member is a connection of this process, which takes its leave
 * when it closes, and both end together.
 */
export function memoryPresence(tell: (topic: string, change: PresenceChange) => void): PresenceStore {
  const rooms = new Map<string, Room>();
  return {
    async join(topic, member) {
      const room = rooms.get(topic) ?? { members: new Map<string, Member>(), users: new Map<string, number>() };
      if (room.members.has(member.client)) return;
      rooms.set(topic, room);
      room.members.set(member.client, member);
      const before = room.users.get(member.user) ?? 0;
      room.users.set(member.user, before + 1);
      tell(topic, { kind: 'join', member, isEdge: before === 0 });
    },
    async leave(topic, client) {
      const room = rooms.get(topic);
      const member = room?.members.get(client);
      if (!room || !member) return;
      room.members.delete(client);
      const left = (room.users.get(member.user) ?? 1) - 1;
      if (left === 0) room.users.delete(member.user);
      else room.users.set(member.user, left);
      if (room.members.size === 0) rooms.delete(topic);
      tell(topic, { kind: 'leave', member, isEdge: left === 0 });
    },
    touch: async () => undefined,
    list: async (topic) => [...(rooms.get(topic)?.members.values() ?? [])],
    async count(topic) {
      const room = rooms.get(topic);
      return { clients: room?.members.size ?? 0, users: room?.users.size ?? 0 };
    },
  };
}
