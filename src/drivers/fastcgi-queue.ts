import type { PhpRequest } from '../ports/php-pool.ts';
import type { FastCgiConnection } from './fastcgi-connection.ts';
import { ClientGone } from './fastcgi-exchange.ts';

/** Requests that wait for a child: first come, first served, so that nobody starves. */
export interface WaitingLine {
  readonly length: number;
  /** Resolves with a connection that is the caller's alone. */
  join(request: PhpRequest): Promise<FastCgiConnection>;
  /** The same, before everybody else and with a connection that carried nothing before: for a request that is sent again. */
  joinAgain(request: PhpRequest): Promise<FastCgiConnection>;
  /** Whether the next one takes a new connection only. */
  readonly wantsFresh: boolean;
  /** Gives a connection to the one that waits longest. @returns false when nobody waits. */
  serve(connection: FastCgiConnection): boolean;
  /** Sends away those who wait for too long or have gone. @param error made anew for each. */
  expire(now: number, maxWaitMs: number, error: () => Error): void;
  /** Sends everybody away. */
  dismiss(error: () => Error): void;
}

interface Waiter {
  readonly request: PhpRequest;
  readonly since: number;
  readonly needsFresh: boolean;
  readonly resolve: (connection: FastCgiConnection) => void;
  readonly reject: (error: Error) => void;
}

export function createWaitingLine(): WaitingLine {
  let waiters: Waiter[] = [];
  /** Those before it were served: shifting a long array for each would cost more. */
  let first = 0;

  const compact = () => {
    if (first < 256 && first < waiters.length) return;
    waiters = waiters.slice(first);
    first = 0;
  };

  return {
    get length() {
      return waiters.length - first;
    },
    join: (request) =>
      new Promise((resolve, reject) => {
        waiters.push({ request, since: performance.now(), needsFresh: false, resolve, reject });
      }),
    joinAgain: (request) =>
      new Promise((resolve, reject) => {
        waiters.splice(first, 0, { request, since: performance.now(), needsFresh: true, resolve, reject });
      }),
    get wantsFresh() {
      return waiters[first]?.needsFresh === true;
    },
    serve(connection) {
      const waiter = waiters[first];
      if (!waiter) return false;
      first++;
      compact();
      waiter.resolve(connection);
      return true;
    },
    expire(now, maxWaitMs, error) {
      const staying: Waiter[] = [];
      for (const waiter of waiters.slice(first)) {
        if (waiter.request.isGone()) waiter.reject(new ClientGone('the client went away'));
        else if (now - waiter.since > maxWaitMs) waiter.reject(error());
        else staying.push(waiter);
      }
      waiters = staying;
      first = 0;
    },
    dismiss(error) {
      for (const waiter of waiters.slice(first)) waiter.reject(error());
      waiters = [];
      first = 0;
    },
  };
}
