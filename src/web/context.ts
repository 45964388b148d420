import type { Caller } from '../kernel/caller.ts';
import type { AppError } from '../kernel/errors.ts';
import type { Connection } from '../ports/connection.ts';
import type { RatePolicy, RateVerdict } from '../ports/rate-limiter.ts';

/** What is known about one request while it is being answered. Made by the gate, gone with the request. */
export interface RequestContext {
  /** `X-Request-Id`: the client's when it is sane, else ours. */
  readonly id: string;
  /** The client's address, judged by `TRUST_PROXY`. */
  readonly address: string;
  /** Whether the client reached us (or the trusted proxy) over TLS. */
  readonly isSecure: boolean;
  readonly method: string;
  /** The path as it was sent, without the query; not decoded. */
  readonly path: string;
  /** On the clock of `performance.now()`, in milliseconds. */
  readonly startedAt: number;
  /** The pattern of the route that answers (`/api/files/:id`), or the name of the fallback that did. */
  route: string;
  /** The answer is another program's and keeps its own policies. */
  isForeign: boolean;
  caller: Caller | null;
  /** Why a presented credential was not believed, on routes that anyone may call. */
  credentialFault: AppError | null;
  /** The rate limit that applies, and what is left of it. */
  rate: { readonly policy: RatePolicy; readonly verdict: RateVerdict } | null;
  /** What the route's wire wants on every answer. */
  wire: Readonly<Record<string, string>> | null;
  /** The answer that was made with id, rate limit and security headers in it: it needs no more. */
  readyAnswer: Response | null;
}

/** Kept on the request itself: a weak map costs several times as much for each request. */
const BINDING = Symbol('bunkhouse request');

interface Bound {
  [BINDING]?: { readonly context: RequestContext; readonly connection: Connection };
}

export function bindContext(request: Request, context: RequestContext, connection: Connection): void {
  (request as Bound)[BINDING] = { context, connection };
}

/** The context of a request that came through the gate. */
export function contextOf(request: Request): RequestContext {
  return bindingOf(request).context;
}

/** The same, for who also answers requests that we make ourselves; `null` for those. */
export function findContext(request: Request): RequestContext | null {
  return (request as Bound)[BINDING]?.context ?? null;
}

export function connectionOf(request: Request): Connection {
  return bindingOf(request).connection;
}

function bindingOf(request: Request) {
  const binding = (request as Bound)[BINDING];
  if (!binding) throw new Error('this request did not come through the gate');
  return binding;
}

export type { Connection };
