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
  /** Throws `auth/invalid-credentials`: the same, after the same time, for an unknown account and a wrong password. */
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

  const take = (policy: RatePolicy, key: string) => {
    const verdict = limiter.take(policy, key);
    if (!verdict.allowed)
      throw requestProblems.create('rate-limited', { retryAfterSeconds: verdict.retryAfterSeconds });
  };
  /** Counts a guess at an account; what it returns takes the guess back, for when it was right. */
  const limitGuesses = (email: string): (() => void) => {
    if (!accountPolicy) return () => undefined;
    const key = `account ${email.slice(0, MAX_EMAIL)}`;
    take(accountPolicy, key);
    return () => limiter.giveBack(accountPolicy, key);
  };
  /** Apart from the guesses of strangers, who must not keep the owner from changing the password. */
  const limitCaller = (caller: UserCaller) => {
    if (accountPolicy) take(accountPolicy, `caller ${caller.id}`);
  };

  const checkPassword = async (user: UserRow | undefined, password: string): Promise<UserRow> => {
    decoy ??= await hasher.hash(randomToken());
    const isRight = await hasher.verify(password, user?.passwordHash ?? decoy);
    if (!user || !isRight || user.disabledAt !== null) throw authProblems.create('invalid-credentials');
    return user;
  };

  return {
    async register({ email, password, name }) {
      const account = { email, password, ...(name === undefined ? {} : { name }) };
      return (await accounts.createWith(account, (tx, user) => sessions.beginIn(tx, user)))();
    },

    async signIn(email, password) {
      const forgive = limitGuesses(normalizeEmail(email));
      const user = await checkPassword(await accounts.findByEmail(email), password);
      forgive();
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
        limitCaller(caller);
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
      limitCaller(caller);
      const user = await checkPassword(await accounts.get(caller.id), currentPassword);
      return (await accounts.setPassword(user, newPassword, (tx, changed) => sessions.beginIn(tx, changed)))();
    },

    deleteAccount: (caller) => accounts.remove(caller.id),
  };
}
