import type { Clock } from '../ports/clock.ts';

/** How many outages in a row, with no answer between them, open the circuit. */
const OUTAGES_TO_OPEN = 5;
/** How long it stays open the first time, and at most, in milliseconds; it doubles each time the probe fails. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Keeps calls from queueing up at a server that is gone: after several outages in a row calls fail at once, and after a pause a
 * single call tries whether it is back.
 */
export interface Breaker {
  /** Milliseconds until a call makes sense; 0 when one may be made now. It MUST be followed by a report if it is made. */
  enter(): number;
  /** The server answered, whatever it said. */
  answered(): void;
  /** It did not. */
  failed(): void;
  /** The call ended without saying anything about the server. */
  abandoned(): void;
  readonly isOpen: boolean;
}

export interface BreakerOptions {
  readonly clock: Clock;
  readonly onChange: (isOpen: boolean) => void;
}

export function createBreaker({ clock, onChange }: BreakerOptions): Breaker {
  let outages = 0;
  let pauseMs = FIRST_PAUSE_MS;
  /** When the next call may try; null while the circuit is closed. */
  let retryAt: number | null = null;
  let isProbing = false;

  const pause = () => {
    // Machines that lost the same server should not all come back in the same moment.
    retryAt = clock.now() + pauseMs * (0.75 + Math.random() / 2);
  };

  return {
    enter() {
      if (retryAt === null) return 0;
      const waitMs = retryAt - clock.now();
      if (waitMs > 0) return waitMs;
      if (isProbing) return FIRST_PAUSE_MS;
      isProbing = true;
      return 0;
    },
    answered() {
      outages = 0;
      isProbing = false;
      if (retryAt === null) return;
      retryAt = null;
      pauseMs = FIRST_PAUSE_MS;
      onChange(false);
    },
    failed() {
      outages++;
      isProbing = false;
      if (retryAt !== null) {
        if (retryAt > clock.now()) return;
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
        pause();
      } else if (outages >= OUTAGES_TO_OPEN) {
        pause();
        onChange(true);
      }
    },
    abandoned() {
      isProbing = false;
    },
    get isOpen() {
      return retryAt !== null;
    },
  };
}
