import type { Clock } from '../../ports/clock.ts';
import type { Connection } from './connection.ts';
import type { SocketLimits } from './limits.ts';
import { createUserIndex } from './user-index.ts';

/** The connections of this process. */
export interface Registry {
  /** @returns why the connection may not stay, or null. */
  add(connection: Connection): 'tooMany' | 'shutdown' | null;
  remove(connection: Connection): void;
  /** Notes who the connection belongs to. False when the user has too many. */
  claim(connection: Connection, userId: string): boolean;
  /** Notes that a login of the user has signed for the connection; it stays its own. */
  vouch(connection: Connection, userId: string): void;
  find(connectionId: string): Connection | null;
  /** Those that belong to the user, and those that a login of the user has signed for. */
  ofUser(userId: string): readonly Connection[];
  readonly isFull: boolean;
  readonly isDraining: boolean;
  readonly size: number;
  readonly userCount: number;
  countByWire(): Map<string, number>;
  /** Counts bytes that one connection may have been sent; looks for slow ones when it could matter. */
  onSent(bytes: number): void;
  /** Bytes that wait for clients, at the last look. */
  readonly backlogBytes: number;
  /** Looks after every connection's deadlines and backlog. */
  tick(): void;
  /** Takes no more, and closes all that are there, spread over a while so that they do not all come back at once. */
  drain(wait: (ms: number) => Promise<void>): Promise<void>;
}

/** However it is spread over connections, none grows by more than this between two looks. */
const LOOK_EVERY_BYTES = 256 * 1024;
/** While draining. */
const DRAIN_STEP_MS = 20;
const DRAIN_PER_SECOND = 2_000;

export function createRegistry({ clock, limits }: { clock: Clock; limits: SocketLimits }): Registry {
  const all = new Map<string, Connection>();
  const owned = createUserIndex();
  const vouched = createUserIndex();
  const vouchers = new Map<Connection, Set<string>>();
  let isDraining = false;
  let unseenBytes = 0;
  let backlogBytes = 0;

  const findSlow = () => {
    unseenBytes = 0;
    backlogBytes = 0;
    for (const connection of all.values()) {
      const bytes = connection.backlogBytes;
      backlogBytes += bytes;
      if (bytes > limits.maxBacklogBytes) connection.end(connection.verdicts.slow);
    }
  };

  return {
    add(connection) {
      if (isDraining) return 'shutdown';
      if (all.size >= limits.maxConnections) return 'tooMany';
      all.set(connection.id, connection);
      return null;
    },
    remove(connection) {
      all.delete(connection.id);
      if (connection.caller?.kind === 'user') owned.remove(connection.caller.id, connection);
      for (const userId of vouchers.get(connection) ?? []) vouched.remove(userId, connection);
      vouchers.delete(connection);
    },
    claim(connection, userId) {
      if (owned.count(userId) >= limits.maxPerUser) return false;
      owned.add(userId, connection);
      return true;
    },
    vouch(connection, userId) {
      const known = vouchers.get(connection) ?? new Set();
      vouchers.set(connection, known.add(userId));
      vouched.add(userId, connection);
    },
    find: (connectionId) => all.get(connectionId) ?? null,
    ofUser: (userId) => [...new Set([...owned.of(userId), ...vouched.of(userId)])],
    get isFull() {
      return all.size >= limits.maxConnections;
    },
    get isDraining() {
      return isDraining;
    },
    get size() {
      return all.size;
    },
    get userCount() {
      return owned.size;
    },
    countByWire() {
      const counts = new Map<string, number>();
      for (const { wire } of all.values()) counts.set(wire, (counts.get(wire) ?? 0) + 1);
      return counts;
    },
    onSent(bytes) {
      unseenBytes += bytes;
      if (unseenBytes >= LOOK_EVERY_BYTES) findSlow();
    },
    get backlogBytes() {
      return backlogBytes;
    },
    tick() {
      const now = clock.now();
      findSlow();
      for (const connection of all.values()) connection.tick(now);
    },
    async drain(wait) {
      isDraining = true;
      const batch = Math.max(
        Math.ceil((DRAIN_PER_SECOND * DRAIN_STEP_MS) / 1000),
        Math.ceil((all.size * DRAIN_STEP_MS) / limits.drainMs),
      );
      const open = [...all.values()];
      while (open.length > 0) {
        for (const connection of open.splice(0, batch)) connection.end(connection.verdicts.shutdown);
        if (open.length > 0) await wait(DRAIN_STEP_MS);
      }
      const deadline = clock.now() + limits.drainMs;
      while (all.size > 0 && clock.now() < deadline) await wait(DRAIN_STEP_MS);
      for (const connection of all.values()) connection.socket?.terminate();
    },
  };
}
