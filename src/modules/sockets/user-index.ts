import type { Connection } from './connection.ts';

/** Connections by user. Most users have one, so a set is made for the others only. */
export interface UserIndex {
  add(userId: string, connection: Connection): void;
  remove(userId: string, connection: Connection): void;
  of(userId: string): readonly Connection[];
  count(userId: string): number;
  /** Different users. */
  readonly size: number;
}

export function createUserIndex(): UserIndex {
  const users = new Map<string, Connection | Set<Connection>>();
  return {
    add(userId, connection) {
      const known = users.get(userId);
      if (known === undefined) users.set(userId, connection);
      else if (known instanceof Set) known.add(connection);
      else if (known !== connection) users.set(userId, new Set([known, connection]));
    },
    remove(userId, connection) {
      const known = users.get(userId);
      if (known === connection) users.delete(userId);
      else if (known instanceof Set) {
        known.delete(connection);
        if (known.size === 0) users.delete(userId);
      }
    },
    of(userId) {
      const known = users.get(userId);
      if (known === undefined) return [];
      return known instanceof Set ? [...known] : [known];
    },
    count(userId) {
      const known = users.get(userId);
      if (known === undefined) return 0;
      return known instanceof Set ? known.size : 1;
    },
    get size() {
      return users.size;
    },
  };
}
