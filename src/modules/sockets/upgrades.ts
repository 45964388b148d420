import type { AppError } from '../../kernel/errors.ts';
import { randomToken } from '../../kernel/ids.ts';
import { requestProblems, serverProblems } from '../../kernel/problems.ts';
import type { Connection } from '../../ports/connection.ts';
import type { RateLimiter, RatePolicy } from '../../ports/rate-limiter.ts';
import type { SocketHandler, SocketRoutes } from '../../ports/sockets.ts';
import { addressKey, type ClientEnd } from '../../web/client-address.ts';
import { toProblemResponse } from '../../web/problems.ts';
import { socketProblems } from './problems.ts';

export interface UpgradeOptions {
  readonly clientEnd: (headers: Headers, connection: Connection) => ClientEnd;
  readonly limiter: RateLimiter;
  /** Counts upgrades by address; null turns it off. */
  readonly policy: RatePolicy | null;
  /** Whether pages of this origin may connect. */
  readonly trustsOrigin: (origin: string, host: string | null) => boolean;
  readonly isFull: () => boolean;
  readonly isDraining: () => boolean;
  /** By path pattern: makes the handler of a new socket. */
  readonly wires: ReadonlyMap<string, (path: string) => SocketHandler>;
  readonly attach: SocketRoutes['attach'];
}

/**
 * Who may open a socket: not too often from one address, and from pages of allowed origins only (RFC 6455 §10.2). Clients that
 * are no browser send no `Origin`. What a caller may do is decided later, by the token in a frame: tokens in addresses end up
 * in logs.
 */
export function createUpgrades(options: UpgradeOptions): SocketRoutes {
  const { clientEnd, limiter, policy, trustsOrigin, isFull, isDraining, wires, attach } = options;

  const admit = (request: Request, connection: Connection): AppError | null => {
    if (isDraining()) return serverProblems.create('draining');
    if (policy) {
      const { address } = clientEnd(request.headers, connection);
      const verdict = limiter.take(policy, addressKey(address));
      if (!verdict.allowed) {
        return requestProblems.create('rate-limited', { retryAfterSeconds: verdict.retryAfterSeconds });
      }
    }
    const origin = request.headers.get('origin');
    if (origin !== null && !trustsOrigin(origin, request.headers.get('host'))) {
      return socketProblems.create('origin-refused');
    }
    return isFull() ? socketProblems.create('too-many-connections') : null;
  };

  return {
    paths: [...wires.keys()],
    attach,
    accept(request, connection) {
      const path = new URL(request.url).pathname;
      const refusal = admit(request, connection);
      const open = [...wires].find(([pattern]) => fits(pattern, path))?.[1];
      if (!refusal && open) return open(path);
      const error = refusal ?? requestProblems.create('not-found');
      return toProblemResponse(error, { requestId: randomToken(12), path });
    },
  };
}

/** Origins of web pages that may connect: our own, and those of `CORS_ORIGINS`. */
export function createOriginCheck(publicUrl: () => string, allowed: readonly string[]): UpgradeOptions['trustsOrigin'] {
  const others = new Set(allowed);
  return (origin, host) =>
    others.has('*') || others.has(origin) || origin === new URL(publicUrl()).origin || URL.parse(origin)?.host === host;
}

/** Whether a path is of a pattern whose last segment may be a parameter. */
function fits(pattern: string, path: string): boolean {
  const fixed = pattern.replace(/:\w+$/, '');
  return fixed === pattern ? path === pattern : path.startsWith(fixed) && /^[^/]+$/.test(path.slice(fixed.length));
}
