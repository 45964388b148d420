import { databaseProblems } from '../kernel/problems.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import { createBreaker } from './remote-breaker.ts';
import { type Deadline, pause } from './remote-deadline.ts';
import { isOutage, isTransient, RemoteError } from './remote-errors.ts';

/** How often what is safe to repeat is tried, and the longest pause before the next try in milliseconds. */
const ATTEMPTS = 3;
const LONGEST_PAUSE_MS = 150;
/** The same refusal is logged this often at most. */
const REFUSAL_LOG_MS = 60_000;

/** The way to one server: knows whether it is worth asking, and says in the log when that changes. */
export interface Link {
  /**
   * Makes one call, unless the server is known to be gone.
   * @throws database/unavailable without a call, with the time after which to come again.
   */
  call<T>(work: () => Promise<T>): Promise<T>;
  /** As `call`, repeated after a broken connection. Only for what changes nothing. */
  repeatable<T>(deadline: Deadline, work: () => Promise<T>): Promise<T>;
  /** Whether calls fail at once, because the server did not answer the last ones. */
  readonly isDown: boolean;
}

export function createLink(options: {
  readonly name: string;
  readonly host: string;
  readonly clock: Clock;
  readonly log: Logger;
}): Link {
  const { name, host, clock, log } = options;
  let lastFault: string | undefined;
  let refusalLoggedAt = Number.NEGATIVE_INFINITY;
  const breaker = createBreaker({
    clock,
    onChange: (isOpen) => {
      if (isOpen) log.error({ database: name, host, reason: lastFault }, 'the remote database does not answer');
      else log.info({ database: name, host }, 'the remote database answers again');
    },
  });

  const report = (error: unknown) => {
    if (isOutage(error)) {
      lastFault = (error as RemoteError).message;
      breaker.failed();
      return;
    }
    breaker.answered();
    if (!(error instanceof RemoteError) || !['denied', 'missing', 'protocol'].includes(error.fault)) return;
    if (clock.now() - refusalLoggedAt < REFUSAL_LOG_MS) return;
    refusalLoggedAt = clock.now();
    log.error({ database: name, host, reason: error.message }, 'the remote database refuses');
  };

  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    const waitMs = breaker.enter();
    if (waitMs > 0) {
      throw databaseProblems.create('unavailable', {
        cause: new RemoteError('refused', 'circuit open'),
        retryAfterSeconds: Math.ceil(waitMs / 1_000),
      });
    }
    try {
      const value = await work();
      breaker.answered();
      return value;
    } catch (error) {
      report(error);
      throw error;
    }
  };

  return {
    call,
    async repeatable(deadline, work) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await call(work);
        } catch (error) {
          if (attempt === ATTEMPTS || !isTransient(error)) throw error;
          await pause(Math.random() * LONGEST_PAUSE_MS, deadline.signal);
        }
      }
    },
    get isDown() {
      return breaker.isOpen;
    },
  };
}
