/** One request to an upstream server, as it is to be sent: nothing is added to it but what the connection needs. */
export interface UpstreamRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
  /** Gives the request up, and the answer's content as well. */
  readonly signal: AbortSignal;
}

/**
 * Sends a request and resolves with the head of the answer; the content comes as the upstream encoded it. Redirects are not followed.
 * A request that is not idempotent is never sent twice. Rejects with {@link UpstreamFault}, or with the reason of the signal.
 */
export type SendUpstream = (request: UpstreamRequest) => Promise<Response>;

export class UpstreamFault extends Error {
  override readonly name = 'UpstreamFault';
  /** `connect`: it cannot have seen the request. `broken`: it may have. `answer`: what it said is no HTTP that can be passed on. */
  readonly kind: 'connect' | 'broken' | 'answer';

  constructor(kind: UpstreamFault['kind'], cause: unknown) {
    super(`the upstream failed (${kind})`, { cause });
    this.kind = kind;
  }
}
