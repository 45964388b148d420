import type { Caller } from '../../kernel/caller.ts';

/** A call over a connection. */
export interface RpcCall {
  readonly method: string;
  readonly data: unknown;
  /** Null for an anonymous connection. */
  readonly caller: Caller | null;
  readonly connectionId: string;
}

/** Answers calls. Null when there is no such method; an `AppError` is told to the client as code 400 with its title. */
export type RpcHandler = (call: RpcCall) => Promise<{ readonly data: unknown } | null>;
