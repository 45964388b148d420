import { serverProblems } from '../kernel/problems.ts';
import { createSemaphore } from '../kernel/semaphore.ts';
import type { PasswordHasher } from '../ports/password-hasher.ts';

/** OWASP Password Storage Cheat Sheet: argon2id, m = 19 MiB, t = 2, p = 1. About 25 ms of one core. */
const PARAMETERS = { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 } as const;
const PREFIX = `$argon2id$v=19$m=${PARAMETERS.memoryCost},t=${PARAMETERS.timeCost},p=1$`;

export interface PasswordHasherOptions {
  /** How many are computed at once, each on a thread of its own. */
  readonly concurrency: number;
  /** How many may wait; more are told to come back. */
  readonly maxWaiting: number;
}

export function bunPasswordHasher({ concurrency, maxWaiting }: PasswordHasherOptions): PasswordHasher {
  const pool = createSemaphore(concurrency, maxWaiting);
  const bounded = <T>(work: () => Promise<T>): Promise<T> => {
    const result = pool.run(work);
    if (!result) throw serverProblems.create('busy', { retryAfterSeconds: 2 });
    return result;
  };
  return {
    hash: async (password) => bounded(() => Bun.password.hash(password, PARAMETERS)),
    verify: async (password, hash) => bounded(() => Bun.password.verify(password, hash)),
    isOutdated: (hash) => !hash.startsWith(PREFIX),
  };
}
