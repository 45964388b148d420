/** What the server knows about the connection that carries a request; the driver that listens supplies it. */
export interface Connection {
  /** Address of the peer, which may be a proxy. */
  readonly peerAddress: string;
  /** Its port, where the driver knows it. */
  readonly peerPort?: number | undefined;
  /** Whether the peer speaks TLS with us. */
  readonly isSecure: boolean;
  /** Turns off the server's idle cut for this request: its handler watches for stalls itself. */
  keepOpen(): void;
}
