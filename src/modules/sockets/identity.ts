import type { Caller } from '../../kernel/caller.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Identity } from '../../web/gate.ts';

/** A token that holds. */
export interface Authenticated {
  readonly caller: Caller;
  /** Milliseconds since the epoch; infinite for a server key. */
  readonly expiresAt: number;
}

/** Who a token belongs to. `expired` when it may be renewed, `invalid` when it is worth nothing. */
export type Authenticate = (token: string) => Promise<Authenticated | 'expired' | 'invalid'>;

/** Asks the gate's own question of a token that came in a frame, so that sockets believe exactly what HTTP believes. */
export function createAuthenticate(
  identify: (request: Request) => Identity | Promise<Identity>,
  clock: Clock,
): Authenticate {
  return async (token) => {
    const expiresAt = expiryOf(token);
    const isHeaderSafe = /^[\x21-\x7e]+$/.test(token);
    const { caller } = isHeaderSafe
      ? await identify(new Request('http://localhost/', { headers: { authorization: `Bearer ${token}` } }))
      : { caller: null };
    if (caller && caller.role !== 'publisher')
      return { caller, expiresAt: caller.kind === 'user' ? (expiresAt ?? clock.now()) : Number.POSITIVE_INFINITY };
    // The word of the token itself: all it can bring about is that the client fetches another one.
    return expiresAt !== null && expiresAt <= clock.now() ? 'expired' : 'invalid';
  };
}

/** The `exp` claim (RFC 7519 §4.1.4) in milliseconds, unverified; null when there is none. */
function expiryOf(token: string): number | null {
  try {
    const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const { exp } = payload as { exp?: unknown };
    return typeof exp === 'number' ? exp * 1000 : null;
  } catch {
    return null;
  }
}
