/** How often one key may act. A port, because machines that form one system share their counts over the bus. */
export interface RateLimiter {
  /**
   * Takes one from the key's allowance, or says when to come back.
   * MUST hold a bounded amount of memory however many distinct keys appear, and MUST NOT fail: a shared limiter that
   * is out of reach falls back to counting locally.
   */
  take(policy: RatePolicy, key: string): RateVerdict;
  /** Gives back one that {@link take} took. */
  giveBack(policy: RatePolicy, key: string): void;
}

export interface RatePolicy {
  /** Name in the `RateLimit` headers; part of the key, so two policies never share an allowance. */
  readonly name: string;
  readonly count: number;
  readonly windowSeconds: number;
}

export interface RateVerdict {
  readonly allowed: boolean;
  /** What is left of the allowance now. */
  readonly remaining: number;
  /** Seconds until the whole allowance is back, rounded up. */
  readonly resetSeconds: number;
  /** Seconds until one more is allowed, rounded up; 0 when allowed. */
  readonly retryAfterSeconds: number;
}
