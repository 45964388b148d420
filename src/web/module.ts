import type { AnyElysia } from 'elysia';
import type { HealthCheck } from '../kernel/checks.ts';

/** What a room shows: the one shape by which the root mounts, checks, starts and stops them all alike. */
export interface Module {
  /** The name in `SERVERS` and in logs. */
  readonly name: string;
  /** The module's routes: named Elysia chains, each mounted once at the root. */
  readonly routes?: AnyElysia | readonly AnyElysia[];
  /** Answers paths that no route claimed; asked in the order of the modules. */
  readonly fallbacks?: readonly Fallback[];
  start?(): Promise<void> | void;
  stop?(): Promise<void> | void;
  readonly checks?: readonly HealthCheck[];
}

/** Answers paths that are not routes. */
export interface Fallback {
  /** What logs and metrics show as the route. */
  readonly route: string;
  /** `null` passes the request on to the next. */
  handle(request: Request): Promise<Response | null> | Response | null;
  /** Whether the path would be answered for GET, so that other methods get 405 instead of 404. */
  has?(path: string): Promise<boolean> | boolean;
  /** Whether every method on this path is for it to answer, OPTIONS included. Asked for methods that the gate answers itself. */
  claims?(path: string): boolean;
  /**
   * Its answers are another program's, which sets its own security, caching and CORS headers: nothing of the kind is added, but for
   * HSTS and CORS where it says nothing itself.
   */
  readonly isForeign?: boolean;
  /** Wants to know who asks, on the paths that it claims; asked for nothing, so that anybody may come. */
  readonly wantsCaller?: boolean;
}
