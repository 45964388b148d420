import { createHash, createHmac } from 'node:crypto';
import { refreshTokens, sessions } from '../../db/schema/auth.ts';
import type { Account } from '../../kernel/caller.ts';
import type { EventBus } from '../../kernel/events.ts';
import { randomToken, uuidv7 } from '../../kernel/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database, Queries } from '../../ports/database.ts';
import type { TokenSigner } from '../../ports/token-signer.ts';
import { authProblems } from './problems.ts';
import {
  findRefreshToken,
  findUser,
  revokeAllSessions,
  revokeSession,
  toAccount,
  type UserRow,
  useRefreshToken,
} from './store.ts';

/** Lifetime of an access token, in seconds. */
export const ACCESS_TOKEN_SECONDS = 15 * 60;
/** A refresh token that nobody uses ends then. */
const IDLE_MS = 30 * 24 * 3_600_000;
/** A login ends then, however often it was refreshed. */
const ABSOLUTE_MS = 90 * 24 * 3_600_000;
/** A refresh token may be presented again for so long, since the answer to the first may have been lost on its way. */
const REPLAY_GRACE_MS = 10_000;

/** The names of RFC 6749 §5.1, with the user beside them. */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  /** Seconds. */
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly user: Account;
}

/** Tokens for the client, and what the browser's cookie needs. */
export interface Grant {
  readonly tokens: TokenAnswer;
  readonly session: {
    readonly id: string;
    readonly userId: string;
    readonly epoch: number;
    readonly expiresAt: number;
  };
}

export interface SessionOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly accessTokens: TokenSigner;
  /** Derives each refresh token's successor. */
  readonly successorKey: Uint8Array;
}

export interface Sessions {
  /** Begins a login, if the account still is what it was when `user` was read. Throws `auth/invalid-credentials`. */
  begin(user: UserRow): Promise<Grant>;
  /** Begins a login in the caller's transaction; the grant is good once that is committed. */
  beginIn(tx: Queries, user: UserRow): Promise<() => Promise<Grant>>;
  /**
   * Trades a refresh token for new tokens (RFC 9700 §4.14.2: rotation). The same token within ten seconds gets the same
   * successor; later, its whole family is revoked, since one of the two who hold it stole it.
   * Throws `auth/invalid-refresh-token`.
   */
  refresh(token: string): Promise<Grant>;
  /** Ends one login. Idempotent. */
  end(sessionId: string, userId: string): Promise<void>;
  /** Ends every login of a user. */
  endAll(userId: string): Promise<void>;
  /** The login a refresh token belongs to; null when it is unknown or spent. */
  findByToken(token: string): Promise<{ readonly id: string; readonly userId: string } | null>;
}

export function createSessions({ database, clock, events, accessTokens, successorKey }: SessionOptions): Sessions {
  /** Only hashes are stored, so the successor is computed from its parent instead of being looked up. */
  const successorOf = (token: string) => createHmac('sha256', successorKey).update(token).digest('base64url');

  const toGrant = async (
    user: UserRow,
    session: { id: string; expiresAt: number },
    refreshToken: string,
  ): Promise<Grant> => {
    const exp = Math.floor(clock.now() / 1000) + ACCESS_TOKEN_SECONDS;
    return {
      tokens: {
        access_token: await accessTokens.sign({ sub: user.id, sid: session.id, epoch: user.tokenEpoch, exp }),
        token_type: 'Bearer',
        expires_in: ACCESS_TOKEN_SECONDS,
        refresh_token: refreshToken,
        user: toAccount(user),
      },
      session: { id: session.id, userId: user.id, epoch: user.tokenEpoch, expiresAt: session.expiresAt },
    };
  };

  const insertToken = (tx: Queries, token: string, session: { id: string; expiresAt: number }, now: number) =>
    tx.insert(refreshTokens).values({
      hash: hashToken(token),
      sessionId: session.id,
      createdAt: now,
      expiresAt: Math.min(now + IDLE_MS, session.expiresAt),
    });

  const beginIn: Sessions['beginIn'] = async (tx, user) => {
    const now = clock.now();
    const session = { id: uuidv7(now), userId: user.id, createdAt: now, expiresAt: now + ABSOLUTE_MS };
    const token = randomToken();
    await tx.insert(sessions).values(session);
    await insertToken(tx, token, session, now);
    return () => toGrant(user, session, token);
  };

  return {
    beginIn,
    async begin(user) {
      const grant = await database.write(async (tx) => {
        // Checking a password takes its time; meanwhile the account may have been disabled or its logins ended.
        const current = await findUser(tx, user.id);
        const stands = current && current.disabledAt === null && current.tokenEpoch === user.tokenEpoch;
        return stands ? beginIn(tx, current) : null;
      });
      if (!grant) throw authProblems.create('invalid-credentials');
      return grant();
    },

    async refresh(token) {
      const now = clock.now();
      const hash = hashToken(token);
      const successor = successorOf(token);
      const outcome = await database.write(async (tx) => {
        const isFirstUse = (await useRefreshToken(tx, hash, now)) !== undefined;
        const found = await findRefreshToken(tx, hash);
        if (!found) return null;
        const { session, user } = found;
        if (isFirstUse) {
          await insertToken(tx, successor, session, now);
          return { kind: 'granted', user, session } as const;
        }
        const isAlive = session.revokedAt === null && session.expiresAt > now && user.disabledAt === null;
        if (!isAlive || found.token.usedAt === null) return null;
        if (now - found.token.usedAt <= REPLAY_GRACE_MS) return { kind: 'granted', user, session } as const;
        await revokeSession(tx, session.id, now);
        return { kind: 'reused', user, session } as const;
      });
      if (outcome?.kind === 'granted') return toGrant(outcome.user, outcome.session, successor);
      if (outcome?.kind === 'reused') {
        const { user, session } = outcome;
        events.emit('auth/token-reused', { userId: user.id, sessionId: session.id });
        events.emit('auth/sessions-revoked', { userId: user.id, sessionId: session.id });
      }
      throw authProblems.create('invalid-refresh-token');
    },

    async end(sessionId, userId) {
      await database.write((tx) => revokeSession(tx, sessionId, clock.now()));
      events.emit('auth/sessions-revoked', { userId, sessionId });
    },
    async endAll(userId) {
      await database.write((tx) => revokeAllSessions(tx, userId, clock.now()));
      events.emit('auth/sessions-revoked', { userId, sessionId: null });
    },
    async findByToken(token) {
      const found = await findRefreshToken(database.read, hashToken(token));
      const isSpent = found?.token.usedAt != null && clock.now() - found.token.usedAt > REPLAY_GRACE_MS;
      return found && !isSpent ? { id: found.session.id, userId: found.user.id } : null;
    },
  };
}

function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
