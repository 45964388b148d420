/** What the server knows about the connection that carries a request; the driver that listens supplies it. */
export interface Connection {
  /** Address of the peer, which may be a proxy. */
  readonly peerAddress: string;
  /** Its port, where the driver knows it. */
  readonly peerPort?: number | undefined;
  /** Whether the peer speaks TLS with us. */
  readonly isSecure: boolean;
  /**
   * Turns off the server's idle cut: the handler watches for stalls itself. It stays off for what comes next on the connection, so
   * {@link cutWhenIdle} MUST follow once the handler has done its part.
   */
  keepOpen(): void;
  /** Turns the idle cut on again. Does nothing when the request is over already. */
  cutWhenIdle(): void;
}
