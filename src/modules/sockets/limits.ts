/** Bounds on everything a client can make grow. */
export interface SocketLimits {
  readonly maxConnections: number;
  /** Connections of one signed-in user. */
  readonly maxPerUser: number;
  readonly maxTopicsPerConnection: number;
  /** One inbound frame. */
  readonly maxFrameBytes: number;
  /** Data of one message. */
  readonly maxMessageBytes: number;
  /** Commands of one connection that wait for their turn. */
  readonly maxQueuedCommands: number;
  /** A connection may send so many commands at once … */
  readonly commandBurst: number;
  /** … and then so many a second. */
  readonly commandsPerSecond: number;
  /** A client that is behind by more than this is closed: nothing is ever skipped for it. */
  readonly maxBacklogBytes: number;
  /** While a client is behind by more than this, its further commands wait. */
  readonly pauseBacklogBytes: number;
  /** Live messages that may wait for one replay. */
  readonly maxHeld: number;
  /** A connection that has not introduced itself by then is closed. */
  readonly connectDeadlineMs: number;
  readonly pingMs: number;
  /** After a ping, anything must come within this. */
  readonly pongMs: number;
  /** A token that ends may be renewed for so much longer. */
  readonly expiryGraceMs: number;
  readonly presenceTtlMs: number;
  /** A client that was lost and is back within this has not been away. */
  readonly presenceGraceMs: number;
  /** Longest time over which closes are spread while draining. */
  readonly drainMs: number;
}

export const SOCKET_LIMITS: SocketLimits = {
  maxConnections: 100_000,
  maxPerUser: 16_384,
  maxTopicsPerConnection: 128,
  maxFrameBytes: 256 * 1024,
  maxMessageBytes: 64 * 1024,
  maxQueuedCommands: 1024,
  commandBurst: 1000,
  commandsPerSecond: 500,
  maxBacklogBytes: 1024 * 1024,
  pauseBacklogBytes: 256 * 1024,
  maxHeld: 1000,
  connectDeadlineMs: 15_000,
  pingMs: 25_000,
  pongMs: 8_000,
  expiryGraceMs: 25_000,
  presenceTtlMs: 60_000,
  presenceGraceMs: 3_000,
  drainMs: 5_000,
};
