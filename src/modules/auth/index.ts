import type { EventBus } from '../../kernel/events.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import type { PasswordHasher } from '../../ports/password-hasher.ts';
import type { RateLimiter, RatePolicy } from '../../ports/rate-limiter.ts';
import type { TokenSigner } from '../../ports/token-signer.ts';
import type { GateOptions } from '../../web/gate.ts';
import type { Module } from '../../web/module.ts';
import { createAccounts } from './accounts.ts';
import { sessionCookie } from './cookie.ts';
import { createIdentify } from './identify.ts';
import { type AuthRoutesOptions, authRoutes } from './routes.ts';
import { createAuthService } from './service.ts';
import { createSessions } from './sessions.ts';
import { createSetUp } from './setup.ts';
import { createAuthReads, deleteEndedSessions, type EndedLogin } from './store.ts';
import { usersRoutes } from './users-routes.ts';

export { type Accounts, createAccounts } from './accounts.ts';
export { SESSION_COOKIE } from './cookie.ts';
export { authProblems } from './problems.ts';
export type { EndedLogin } from './store.ts';

export interface AuthOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly log: Logger;
  readonly hasher: PasswordHasher;
  readonly limiter: RateLimiter;
  readonly accountPolicy: RatePolicy | null;
  readonly accessTokens: TokenSigner;
  /** Signs the token inside the browser's cookie; another kind than access tokens. */
  readonly cookieTokens: TokenSigner;
  readonly successorKey: Uint8Array;
  readonly serverKey: string | undefined;
  /** Lets its holder publish messages, and nothing else. */
  readonly publisherKey: string;
  /** The first admin of the settings. */
  readonly admin: { readonly email: string; readonly password: string } | null;
  /** Hears the one-time token while there is no admin; it is shown to the operator and nowhere else. */
  readonly onSetUpOpen: (token: string) => void;
}

export interface Auth extends Module {
  /** Who sends a request; for the gate. */
  readonly identify: GateOptions['identify'];
  /** The same from memory, where that can tell. */
  readonly recall: NonNullable<GateOptions['recall']>;
  /** Logins that were ended at or after a time (milliseconds since the epoch), by whichever process. */
  readonly findEnded: (since: number) => Promise<EndedLogin[]>;
}

/** How often ended logins are forgotten, and how long they are kept so that a reused token is still recognised. */
const SWEEP_MS = 3_600_000;
const KEEP_ENDED_MS = 7 * 24 * 3_600_000;

/** Accounts, logins and tokens. */
export function createAuth(options: AuthOptions): Auth {
  const { database, clock, events, log, hasher, limiter, accountPolicy, accessTokens, cookieTokens } = options;
  const accounts = createAccounts({ database, clock, events, hasher });
  const sessions = createSessions({ database, clock, events, accessTokens, successorKey: options.successorKey });
  const service = createAuthService({ accounts, sessions, hasher, limiter, accountPolicy });
  const setUp = createSetUp({ accounts, log, admin: options.admin });
  const { findStanding, findEnded } = createAuthReads(database);

  const toCookie: AuthRoutesOptions['toCookie'] = async ({ id, userId, epoch, expiresAt }) => {
    const exp = Math.floor(expiresAt / 1000);
    const token = await cookieTokens.sign({ sub: userId, sid: id, epoch, exp });
    return sessionCookie(token, exp - Math.floor(clock.now() / 1000));
  };
  const sweep = () =>
    database
      .write((tx) => deleteEndedSessions(tx, clock.now() - KEEP_ENDED_MS))
      .catch((error: unknown) => log.error({ err: error }, 'ended logins could not be swept'));
  let timer: ReturnType<typeof setInterval> | undefined;

  return {
    name: 'auth',
    routes: [authRoutes({ service, sessions, setUp, toCookie }), usersRoutes({ accounts })],
    ...createIdentify({
      database,
      clock,
      events,
      accessTokens,
      cookieTokens,
      serverKey: options.serverKey,
      publisherKey: options.publisherKey,
      findStanding,
    }),
    findEnded,
    async start() {
      const token = await setUp.open();
      if (token) options.onSetUpOpen(token);
      timer = setInterval(sweep, SWEEP_MS);
    },
    stop: () => clearInterval(timer),
  };
}
