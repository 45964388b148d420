import type { UserCaller } from '../../kernel/caller.ts';
import { randomToken } from '../../kernel/ids.ts';
import { requestProblems } from '../../kernel/problems.ts';
import type { PasswordHasher } from '../../ports/password-hasher.ts';
import type { RateLimiter, RatePolicy } from '../../ports/rate-limiter.ts';
import { type Accounts, type NewAccount, normalizeEmail } from './accounts.ts';
import { authProblems } from './problems.ts';
import type { Grant, Sessions } from './sessions.ts';
import { toAccount, type UserRow } from './store.ts';

export interface AuthServiceOptions {
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  readonly hasher: PasswordHasher;
  readonly limiter: RateLimiter;
  /** Limits guesses at one account; `null` turns it off. */
  readonly accountPolicy: RatePolicy | null;
}

/** What the auth server does for people. */
export interface AuthService {
  /** Throws `auth/email-taken`. */
  register(account: NewAccount): Promise<Grant>;
  /** Throws `auth/invalid-credentials`: the same, after the same time, for an unknown address and a wrong password. */
  signIn(email: string, password: string): Promise<Grant>;
  refresh(refreshToken: string): Promise<Grant>;
  /** Ends the caller's login, that of the refresh token, or with `everywhere` all of that user's. */
  signOut(caller: UserCaller | null, refreshToken: string | undefined, everywhere: boolean): Promise<void>;
  /** Changing the address asks for the password again. */
  changeAccount(caller: UserCaller, changes: AccountChanges): Promise<ReturnType<typeof toAccount>>;
  /** Ends every login and begins a new one. */
  changePassword(caller: UserCaller, currentPassword: string, newPassword: string): Promise<Grant>;
  deleteAccount(caller: UserCaller): Promise<void>;
}

export interface AccountChanges {
  readonly name?: string | undefined;
  readonly email?: string | undefined;
  readonly currentPassword?: string | undefined;
}

/** No account has a longer address; a limiter's key need not be longer. */
const MAX_EMAIL = 254;

export function createAuthService({
  accounts,
  sessions,
  hasher,
  limiter,
  accountPolicy,
}: AuthServiceOptions): AuthService {
  /** What an unknown address is checked against, so that it takes as long as a known one. */
  let decoy: string | undefined;

  const limitAccount = (email: string) => {
    if (!accountPolicy) return;
    const verdict = limiter.take(accountPolicy, `account:${email.slice(0, MAX_EMAIL)}`);
    if (!verdict.allowed)
      throw requestProblems.create('rate-limited', { retryAfterSeconds: verdict.retryAfterSeconds });
  };

  const checkPassword = async (user: UserRow | undefined, password: string): Promise<UserRow> => {
    decoy ??= await hasher.hash(randomToken());
    const isRight = await hasher.verify(password, user?.passwordHash ?? decoy);
    if (!user || !isRight || user.disabledAt !== null) throw authProblems.create('invalid-credentials');
    return user;
  };

  return {
    register: async (account) => (await accounts.createWith(account, (tx, user) => sessions.beginIn(tx, user)))(),

    async signIn(email, password) {
      limitAccount(normalizeEmail(email));
      const user = await checkPassword(await accounts.findByEmail(email), password);
      if (hasher.isOutdated(user.passwordHash)) await accounts.renewHash(user, password);
      return sessions.begin(user);
    },

    refresh: (refreshToken) => sessions.refresh(refreshToken),

    async signOut(caller, refreshToken, everywhere) {
      const own = caller && { id: caller.sessionId, userId: caller.id };
      const named = refreshToken === undefined ? null : await sessions.findByToken(refreshToken);
      if (everywhere) {
        const userId = own?.userId ?? named?.userId;
        if (userId) await sessions.endAll(userId);
        return;
      }
      if (own) await sessions.end(own.id, own.userId);
      if (named && named.id !== own?.id) await sessions.end(named.id, named.userId);
    },

    async changeAccount(caller, { name, email, currentPassword }) {
      if (email !== undefined) {
        limitAccount(caller.account.email);
        await checkPassword(await accounts.get(caller.id), currentPassword ?? '');
      }
      return toAccount(
        await accounts.change(caller.id, {
          ...(name === undefined ? {} : { name }),
          ...(email === undefined ? {} : { email }),
        }),
      );
    },

    async changePassword(caller, currentPassword, newPassword) {
      limitAccount(caller.account.email);
      await checkPassword(await accounts.get(caller.id), currentPassword);
      return (await accounts.setPassword(caller.id, newPassword, (tx, user) => sessions.beginIn(tx, user)))();
    },

    deleteAccount: (caller) => accounts.remove(caller.id),
  };
}
