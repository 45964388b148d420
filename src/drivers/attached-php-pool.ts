import type { PhpObserver, PhpPool } from '../ports/php-pool.ts';
import type { FastCgiAddress } from './fastcgi-connection.ts';
import { createFastCgiPool, type FastCgiPoolLimits } from './fastcgi-pool.ts';
import { probeFastCgi } from './php-fpm-status.ts';

export interface AttachedPhpPoolOptions {
  readonly address: FastCgiAddress;
  /** At most as many as its `pm.max_children`, less what others use of it. */
  readonly size: number;
  readonly observer: PhpObserver;
  readonly limits?: Partial<FastCgiPoolLimits>;
}

/** Others may use the php-fpm too: a child is not held longer than this for nothing. */
const IDLE_CONNECTION_MS = 15_000;

/** A php-fpm that somebody else runs. */
export function attachedPhpPool({ address, size, observer, limits }: AttachedPhpPoolOptions): PhpPool {
  const pool = createFastCgiPool({
    address,
    size,
    observer,
    limits: { idleConnectionMs: IDLE_CONNECTION_MS, ...limits },
    // Whether its child crashed or was replaced cannot be told from here.
    mayRepeatUnsafe: async () => false,
  });
  return {
    start: () => undefined,
    send: (request) => pool.send(request),
    get load() {
      return pool.load;
    },
    async ping() {
      const { idle, busy, lost, size: all } = pool.load;
      // A kept connection closes with its child. Asking would need another child, which we may be holding ourselves.
      if (idle > 0 || (await probeFastCgi(address))) return { status: 'ok' };
      if (busy + lost >= all) return { status: 'degraded', detail: 'every child is busy' };
      return { status: 'down', detail: 'php-fpm does not answer' };
    },
    // Whoever runs it reloads it.
    reload: async () => undefined,
    stop: async () => pool.close(),
  };
}
