import { createHash, timingSafeEqual } from 'node:crypto';
import { randomToken } from '../../kernel/ids.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Accounts } from './accounts.ts';
import { authProblems } from './problems.ts';
import type { UserRow } from './store.ts';

export interface SetUp {
  /**
   * Prepares the first start: creates the admin that the settings name, or opens set-up by a one-time token.
   * @returns the token while there is no admin, else null.
   */
  open(): Promise<string | null>;
  /** Creates the first admin for whoever holds the token. Throws `auth/setup-closed`, `auth/email-taken`. */
  complete(token: string, email: string, password: string): Promise<UserRow>;
}

export interface SetUpOptions {
  readonly accounts: Accounts;
  readonly log: Logger;
  readonly admin: { readonly email: string; readonly password: string } | null;
}

export function createSetUp({ accounts, log, admin }: SetUpOptions): SetUp {
  /** Only the hash is kept: the token itself was shown to the operator. */
  let tokenHash: Buffer | null = null;

  const createFromSettings = async (wanted: NonNullable<SetUpOptions['admin']>): Promise<boolean> => {
    try {
      await accounts.createFirstAdmin(wanted);
      return true;
    } catch (error) {
      // Whoever registered that address first must not become admin by it, nor keep the server from starting.
      if (!authProblems.is(error, 'email-taken')) throw error;
      log.warn({}, 'ADMIN_EMAIL belongs to an account that is no admin; use the set-up link or "bunkhouse user role"');
      return false;
    }
  };
  return {
    async open() {
      if (await accounts.hasAdmin()) return null;
      if (admin && (await createFromSettings(admin))) return null;
      const token = randomToken();
      tokenHash = digest(token);
      return token;
    },
    async complete(token, email, password) {
      if (!tokenHash || !timingSafeEqual(tokenHash, digest(token))) throw authProblems.create('setup-closed');
      const user = await accounts.createFirstAdmin({ email, password });
      tokenHash = null;
      if (!user) throw authProblems.create('setup-closed');
      return user;
    },
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
