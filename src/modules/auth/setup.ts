import { createHash, timingSafeEqual } from 'node:crypto';
import { randomToken } from '../../kernel/ids.ts';
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
  readonly admin: { readonly email: string; readonly password: string } | null;
}

export function createSetUp({ accounts, admin }: SetUpOptions): SetUp {
  /** Only the hash is kept: the token itself was shown to the operator. */
  let tokenHash: Buffer | null = null;
  return {
    async open() {
      if (await accounts.hasAdmin()) return null;
      if (admin) {
        await accounts.createFirstAdmin(admin);
        return null;
      }
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
