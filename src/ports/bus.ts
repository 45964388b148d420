/**
 * What carries messages between sockets, on one machine or many: ordered streams with a short memory, presence, and signals.
 *
 * A topic is a stream. Its publications are numbered from 1 without gaps; numbers belong to an epoch, which changes whenever
 * the stream's past is lost. Both are given at one place, together with the append.
 */
export interface Bus {
  /** Where deliveries go. Called before anything else; a driver hears it once, see `fanOutBus` for several listeners. */
  listen(listener: BusListener): void;
  /**
   * Numbers, keeps and fans out one message, as one step. A key that was used on the topic within five minutes publishes
   * nothing and gives the position of the first time.
   */
  publish(topic: string, draft: Draft, idempotencyKey?: string): Promise<Published>;
  /**
   * Begins deliveries of a topic to this process. Everything published after the position that it resolves to is delivered,
   * or its loss is told by {@link BusListener.onDoubt}.
   */
  subscribe(topic: string): Promise<Position>;
  unsubscribe(topic: string): void;
  /** Reads what is kept of a stream. */
  history(topic: string, query: HistoryQuery): Promise<HistoryPage>;
  readonly presence: PresenceStore;
  readonly audience: AudienceStore;
  /** Tells every process, this one included. */
  signal(signal: Signal): Promise<void>;
  /** Rejects when the bus cannot be reached right now. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface BusListener {
  /** Called in the order of offsets, for topics subscribed to. */
  onPublication(topic: string, publication: Publication, epoch: string): void;
  onPresence(topic: string, change: PresenceChange): void;
  onSignal(signal: Signal): void;
  /** Deliveries of a topic, or of all (`null`), may have been lost: compare positions. */
  onDoubt(topic: string | null): void;
}

export interface Position {
  readonly epoch: string;
  /** Number of the newest publication; 0 while there is none. */
  readonly offset: number;
}

export interface Published extends Position {
  /** Nothing was published: the idempotency key was known. */
  readonly isRepeat: boolean;
}

/** A message before it has a number. */
export interface Draft {
  /** JSON text without line breaks. */
  readonly data: string;
  readonly name?: string;
  /** Who published, when it was a client. */
  readonly from?: Member;
  /** Connection that is not told, wherever it is. */
  readonly except?: string;
}

export interface Publication extends Draft {
  readonly offset: number;
  /** Milliseconds since the epoch, UTC. */
  readonly at: number;
}

export interface HistoryQuery {
  /** Most publications; 0 asks for the position alone. */
  readonly limit: number;
  /** Only what came after. Ignored when its epoch is another: the page's epoch tells. */
  readonly since?: Position;
  /** Newest first; with `since`, what came before it. */
  readonly isReverse?: boolean;
}

export interface HistoryPage extends Position {
  readonly publications: readonly Publication[];
  /** Everything after `since` is kept. True only when `since` is of this epoch. */
  readonly isUnbroken: boolean;
}

/** Who is on a topic. Entries are leases: what is not touched in time is gone, with a leave. */
export interface PresenceStore {
  join(topic: string, member: Member): Promise<void>;
  leave(topic: string, client: string): Promise<void>;
  /**
   * The connection was lost: it leaves when the grace is over. If its user comes back before that, nothing is told at first; once
   * the new connection has outlived the grace its join is told, then the leave of the old one. So a client that flaps is not
   * heard of, on whichever process it comes back. Nobody in particular is nobody who comes back.
   */
  fade(topic: string, client: string, graceMs: number): Promise<void>;
  /** Renews the leases of this process. */
  touch(entries: readonly PresenceEntry[]): Promise<void>;
  list(topic: string): Promise<readonly Member[]>;
  /** Counts, in constant time. */
  count(topic: string): Promise<PresenceCount>;
}

export interface PresenceEntry {
  readonly topic: string;
  readonly member: Member;
}

/** One connection on a topic. */
export interface Member {
  /** Connection id. */
  readonly client: string;
  /** Empty for nobody in particular. */
  readonly user: string;
  /** What the connection shows of itself, as JSON text. */
  readonly info?: string;
}

export interface PresenceCount {
  readonly clients: number;
  readonly users: number;
}

export interface PresenceChange {
  readonly kind: 'join' | 'leave';
  readonly member: Member;
  /** The first connection of its user to come, or the last to go. */
  readonly isEdge: boolean;
}

/**
 * How many connections hear what, over all processes. What each process has is leased: it goes soon after a process that died.
 */
export interface AudienceStore {
  /** What this process has of the names whose count has changed; 0 takes one off. */
  set(counts: ReadonlyMap<string, number>): Promise<void>;
  /** Only what is heard by somebody. */
  list(): Promise<ReadonlyMap<string, number>>;
  count(name: string): Promise<number>;
}

/** Orders that reach every process. */
export type Signal =
  | { readonly kind: 'revoke'; readonly userId: string; readonly sessionId: string | null }
  | { readonly kind: 'disconnect'; readonly userId: string }
  | { readonly kind: 'unsubscribe'; readonly userId: string; readonly topic: string }
  /** A login has signed for a connection, wherever it is: the connection ends with it. */
  | {
      readonly kind: 'vouch';
      readonly connectionId: string;
      readonly userId: string;
      readonly sessionId: string;
    }
  /** What was purged from the cache, as its store notes it. */
  | { readonly kind: 'purge'; readonly notes: readonly unknown[] };

/** How much of a stream is kept: whatever bound is met first. */
export interface HistoryBounds {
  readonly maxCount: number;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

export const HISTORY_BOUNDS: HistoryBounds = { maxCount: 1000, maxBytes: 512 * 1024, maxAgeMs: 300_000 };
/** How long an idempotency key is remembered. */
export const IDEMPOTENCY_MS = 300_000;
