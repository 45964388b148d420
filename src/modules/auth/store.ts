import { and, count, desc, eq, gt, gte, isNull, lt, ne, sql } from 'drizzle-orm';
import { refreshTokens, sessions, users } from '../../db/schema/auth.ts';
import type { Account, Role } from '../../kernel/caller.ts';
import type { Database, Queries } from '../../ports/database.ts';
import { preparedQuery } from '../../ports/prepared.ts';

export type UserRow = typeof users.$inferSelect;

/** What an access token is checked against on each request. */
export interface Standing {
  readonly user: UserRow;
  readonly sessionRevokedAt: number | null;
  readonly sessionExpiresAt: number;
}

/** A login that no longer stands. */
export interface EndedLogin {
  readonly userId: string;
  readonly sessionId: string;
  /** Milliseconds since the epoch, by the clock of whoever ended it. */
  readonly endedAt: number;
}

export function toAccount(user: UserRow): Account {
  const { id, email, name, role, emailVerified, createdAt } = user;
  return { id, email, name, role, emailVerified, createdAt: new Date(createdAt).toISOString() };
}

const standingOf = preparedQuery((queries) =>
  queries
    .select({ user: users, sessionRevokedAt: sessions.revokedAt, sessionExpiresAt: sessions.expiresAt })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(eq(sessions.id, sql.placeholder('sessionId')))
    .prepare(),
);
const byId = preparedQuery((queries) =>
  queries
    .select()
    .from(users)
    .where(eq(users.id, sql.placeholder('id')))
    .prepare(),
);
const byEmail = preparedQuery((queries) =>
  queries
    .select()
    .from(users)
    .where(eq(users.email, sql.placeholder('email')))
    .prepare(),
);
const endedSince = preparedQuery((queries) =>
  queries
    .select({ userId: sessions.userId, sessionId: sessions.id, endedAt: sql<number>`${sessions.revokedAt}` })
    .from(sessions)
    .where(gte(sessions.revokedAt, sql.placeholder('since')))
    .prepare(),
);

export function createAuthReads({ read }: Database) {
  return {
    findStanding: (sessionId: string): Promise<Standing | undefined> => standingOf(read).get({ sessionId }),
    /** Logins that were ended at or after that time, by whichever process. */
    findEnded: (since: number): Promise<EndedLogin[]> => endedSince(read).all({ since }),
    findUser: (id: string) => findUser(read, id),
    findUserByEmail: (email: string): Promise<UserRow | undefined> => byEmail(read).get({ email }),
    /** Newest first, those older than the cursor's id. */
    listUsers: (limit: number, beforeId: string | null): Promise<UserRow[]> =>
      read
        .select()
        .from(users)
        .where(beforeId === null ? undefined : lt(users.id, beforeId))
        .orderBy(desc(users.id))
        .limit(limit)
        .all(),
    hasAdmin: () => hasAdmin(read),
  };
}

export async function findUser(queries: Queries, id: string): Promise<UserRow | undefined> {
  return byId(queries).get({ id });
}

export async function hasAdmin(db: Queries): Promise<boolean> {
  return (await db.select({ id: users.id }).from(users).where(eq(users.role, 'admin')).limit(1).get()) !== undefined;
}

/** Enabled admins other than this user. */
export async function countOtherAdmins(db: Queries, userId: string): Promise<number> {
  const [row] = await db
    .select({ total: count() })
    .from(users)
    .where(and(eq(users.role, 'admin'), isNull(users.disabledAt), ne(users.id, userId)));
  return row?.total ?? 0;
}

export interface UserChanges {
  readonly email?: string;
  readonly emailVerified?: boolean;
  readonly name?: string;
  readonly role?: Role;
  readonly passwordHash?: string;
  readonly disabledAt?: number | null;
}

/** Returns the row as it is afterwards; undefined when there is no such user. */
export async function updateUser(
  tx: Queries,
  id: string,
  changes: UserChanges,
  now: number,
): Promise<UserRow | undefined> {
  return tx
    .update(users)
    .set({ ...changes, updatedAt: now })
    .where(eq(users.id, id))
    .returning()
    .get();
}

/** Makes every access and refresh token of a user worthless. */
export async function revokeAllSessions(tx: Queries, userId: string, now: number): Promise<void> {
  await tx
    .update(users)
    .set({ tokenEpoch: sql`${users.tokenEpoch} + 1` })
    .where(eq(users.id, userId));
  await tx
    .update(sessions)
    .set({ revokedAt: now })
    .where(and(eq(sessions.userId, userId), isNull(sessions.revokedAt)));
}

export async function revokeSession(tx: Queries, sessionId: string, now: number): Promise<void> {
  await tx
    .update(sessions)
    .set({ revokedAt: now })
    .where(and(eq(sessions.id, sessionId), isNull(sessions.revokedAt)));
}

/**
 * Marks a refresh token as used if it is still good, in one statement: of any number of parallel calls one gets the session id.
 */
export async function useRefreshToken(tx: Queries, hash: string, now: number): Promise<string | undefined> {
  const row = await tx
    .update(refreshTokens)
    .set({ usedAt: now })
    .where(
      and(
        eq(refreshTokens.hash, hash),
        isNull(refreshTokens.usedAt),
        gt(refreshTokens.expiresAt, now),
        sql`EXISTS (SELECT 1 FROM ${sessions} JOIN ${users} ON ${users.id} = ${sessions.userId}
          WHERE ${sessions.id} = ${refreshTokens.sessionId} AND ${sessions.revokedAt} IS NULL
            AND ${sessions.expiresAt} > ${now} AND ${users.disabledAt} IS NULL)`,
      ),
    )
    .returning({ sessionId: refreshTokens.sessionId })
    .get();
  return row?.sessionId;
}

/** A refresh token with its login and its user, whatever their state. */
export async function findRefreshToken(db: Queries, hash: string) {
  return db
    .select({ token: refreshTokens, session: sessions, user: users })
    .from(refreshTokens)
    .innerJoin(sessions, eq(sessions.id, refreshTokens.sessionId))
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(eq(refreshTokens.hash, hash))
    .get();
}

/** Forgets logins that ended before the given time, their refresh tokens with them. */
export async function deleteEndedSessions(tx: Queries, before: number): Promise<void> {
  await tx.delete(sessions).where(sql`${sessions.expiresAt} < ${before} OR ${sessions.revokedAt} < ${before}`);
}
