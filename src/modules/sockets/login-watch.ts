import type { Clock } from '../../ports/clock.ts';
import type { EndedLogin } from '../auth/index.ts';
import type { Registry } from './registry.ts';
import { obeySignal } from './signals.ts';

/** What is known of logins beside what is told over the bus. */
export interface Logins {
  /** Differs after anything changed; null when that cannot be told. */
  version(): number | null;
  /** Logins that were ended at or after a time, by whichever process. */
  findEnded(since: number): Promise<readonly EndedLogin[]>;
}

export interface LoginWatchOptions {
  readonly logins: Logins;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly onFault: (error: unknown) => void;
}

/** So far the clocks of machines may differ, and so late a commit may follow its time. */
const OVERLAP_MS = 10_000;
/** How often is asked where only the answer tells whether anything changed: that may be a request over the network. */
const BLIND_MS = 900;

/**
 * Cuts the connections whose login was ended by a process that cannot tell this one: the command line, or a machine while the bus
 * is away. Asks nothing while nothing changed or nobody is connected, and one question at a time. It goes on from the newest end
 * it has seen rather than from the clock: a replica may be late by any time, but it gets everything in order.
 * @returns what is to be called every half second.
 */
export function createLoginWatch({ logins, registry, clock, onFault }: LoginWatchOptions): () => void {
  let seen: number | null = null;
  let newest = clock.now();
  let askedAt = Number.NEGATIVE_INFINITY;
  let isAsking = false;

  const ask = async () => {
    const version = logins.version();
    const isNews = version === null ? Math.abs(clock.now() - askedAt) >= BLIND_MS : version !== seen;
    if (!isNews) return;
    askedAt = clock.now();
    for (const { userId, sessionId, endedAt } of await logins.findEnded(newest - OVERLAP_MS)) {
      obeySignal(registry, { kind: 'revoke', userId, sessionId });
      newest = Math.max(newest, endedAt);
    }
    // Only now: after a failure the question stands.
    seen = version;
  };

  return () => {
    if (isAsking || registry.size === 0) return;
    isAsking = true;
    ask()
      .catch(onFault)
      .finally(() => {
        isAsking = false;
      });
  };
}
