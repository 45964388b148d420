import { eq } from 'drizzle-orm';
import { users } from '../../db/schema/auth.ts';
import type { Role } from '../../kernel/caller.ts';
import type { EventBus } from '../../kernel/events.ts';
import { uuidv7 } from '../../kernel/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import { ConstraintError, type Database, type Queries } from '../../ports/database.ts';
import type { PasswordHasher } from '../../ports/password-hasher.ts';
import { authProblems } from './problems.ts';
import {
  countOtherAdmins,
  createAuthReads,
  findUser,
  hasAdmin,
  revokeAllSessions,
  type UserChanges,
  type UserRow,
  updateUser,
} from './store.ts';

export interface NewAccount {
  readonly email: string;
  readonly password: string;
  readonly name?: string;
  readonly role?: Role;
}

export interface AccountOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly hasher: PasswordHasher;
}

/** The accounts themselves, for the routes, the command line and the first start alike. */
export interface Accounts {
  /** Throws `auth/email-taken`. */
  create(account: NewAccount): Promise<UserRow>;
  /** As {@link create}, with something else done in the same transaction. */
  createWith<T>(account: NewAccount, also: (tx: Queries, user: UserRow) => Promise<T>): Promise<T>;
  /** Creates the first admin; null when there is an admin already. Throws `auth/email-taken`. */
  createFirstAdmin(account: NewAccount): Promise<UserRow | null>;
  hasAdmin(): Promise<boolean>;
  /** Throws `auth/user-not-found`. */
  get(id: string): Promise<UserRow>;
  findByEmail(email: string): Promise<UserRow | undefined>;
  /** Newest first; `cursor` is the id of the last one seen. */
  list(limit: number, cursor: string | null): Promise<{ items: UserRow[]; nextCursor: string | null }>;
  /** Throws `auth/user-not-found`, `auth/email-taken`. */
  change(id: string, changes: { readonly name?: string; readonly email?: string }): Promise<UserRow>;
  /** Ends every login of the user. Throws `auth/user-not-found`, `auth/last-admin`. */
  setRights(id: string, rights: { readonly role?: Role; readonly disabled?: boolean }): Promise<UserRow>;
  /**
   * Ends every login of the user; `also` runs in the same transaction. `verified` is the row whose password was checked.
   * Throws `auth/invalid-credentials` when that password was changed meanwhile.
   */
  setPassword<T>(verified: UserRow, password: string, also: (tx: Queries, user: UserRow) => Promise<T>): Promise<T>;
  /** Hashes a password that was right once more, with the parameters in force, unless it was changed meanwhile. */
  renewHash(user: UserRow, password: string): Promise<void>;
  /** Takes all that the account owns. Throws `auth/user-not-found`, `auth/last-admin`. */
  remove(id: string): Promise<void>;
}

export function createAccounts({ database, clock, events, hasher }: AccountOptions): Accounts {
  const reads = createAuthReads(database);

  const draft = async (account: NewAccount): Promise<UserRow> => {
    const now = clock.now();
    return {
      id: uuidv7(now),
      email: normalizeEmail(account.email),
      name: account.name ?? '',
      role: account.role ?? 'user',
      passwordHash: await hasher.hash(account.password),
      emailVerified: false,
      disabledAt: null,
      tokenEpoch: 0,
      createdAt: now,
      updatedAt: now,
    };
  };
  const existing = (user: UserRow | undefined): UserRow => {
    if (!user) throw authProblems.create('user-not-found');
    return user;
  };
  /** Nobody may take the last enabled admin away. */
  const guardLastAdmin = async (tx: Queries, user: UserRow) => {
    const isAdmin = user.role === 'admin' && user.disabledAt === null;
    if (isAdmin && (await countOtherAdmins(tx, user.id)) === 0) throw authProblems.create('last-admin');
  };

  const createWith: Accounts['createWith'] = async (account, also) => {
    if (await reads.findUserByEmail(normalizeEmail(account.email))) throw authProblems.create('email-taken');
    const user = await draft(account);
    const result = await takenIsConflict(
      database.write(async (tx) => {
        await tx.insert(users).values(user);
        return also(tx, user);
      }),
    );
    events.emit('users/created', { userId: user.id });
    return result;
  };

  return {
    createWith,
    create: (account) => createWith(account, async (_tx, user) => user),
    async createFirstAdmin(account) {
      if (await reads.hasAdmin()) return null;
      const user = await draft({ ...account, role: 'admin' });
      const isFirst = await takenIsConflict(
        database.write(async (tx) => {
          if (await hasAdmin(tx)) return false;
          await tx.insert(users).values(user);
          return true;
        }),
      );
      if (isFirst) events.emit('users/created', { userId: user.id });
      return isFirst ? user : null;
    },
    hasAdmin: reads.hasAdmin,
    get: async (id) => existing(await reads.findUser(id)),
    findByEmail: (email) => reads.findUserByEmail(normalizeEmail(email)),
    async list(limit, cursor) {
      const rows = await reads.listUsers(limit + 1, cursor);
      const items = rows.slice(0, limit);
      return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
    },
    async change(id, { name, email }) {
      const changes: UserChanges = {
        ...(name === undefined ? {} : { name }),
        ...(email === undefined ? {} : { email: normalizeEmail(email), emailVerified: false }),
      };
      const user = await takenIsConflict(database.write((tx) => updateUser(tx, id, changes, clock.now())));
      events.emit('users/changed', { userId: id });
      return existing(user);
    },
    async setRights(id, { role, disabled }) {
      const user = await database.write(async (tx) => {
        const before = existing(await findUser(tx, id));
        const changes: UserChanges = {
          ...(role === undefined ? {} : { role }),
          ...(disabled === undefined ? {} : { disabledAt: disabled ? (before.disabledAt ?? clock.now()) : null }),
        };
        if (disabled || (role !== undefined && role !== 'admin')) await guardLastAdmin(tx, before);
        const after = existing(await updateUser(tx, id, changes, clock.now()));
        if (after.role !== before.role || after.disabledAt !== before.disabledAt)
          await revokeAllSessions(tx, id, clock.now());
        return after;
      });
      events.emit('users/changed', { userId: id });
      events.emit('auth/sessions-revoked', { userId: id, sessionId: null });
      return user;
    },
    async setPassword({ id, passwordHash: verifiedHash }, password, also) {
      const passwordHash = await hasher.hash(password);
      const result = await database.write(async (tx) => {
        const current = existing(await findUser(tx, id));
        // Another change came first: what was verified is no longer the password.
        if (current.passwordHash !== verifiedHash) throw authProblems.create('invalid-credentials');
        await revokeAllSessions(tx, id, clock.now());
        return also(tx, existing(await updateUser(tx, id, { passwordHash }, clock.now())));
      });
      events.emit('auth/sessions-revoked', { userId: id, sessionId: null });
      return result;
    },
    async renewHash({ id, passwordHash: outdated }, password) {
      const passwordHash = await hasher.hash(password);
      await database.write(async (tx) => {
        const user = await findUser(tx, id);
        if (user?.passwordHash === outdated) await updateUser(tx, id, { passwordHash }, clock.now());
      });
    },
    async remove(id) {
      await database.write(async (tx) => {
        await guardLastAdmin(tx, existing(await findUser(tx, id)));
        await tx.delete(users).where(eq(users.id, id));
      });
      events.emit('auth/sessions-revoked', { userId: id, sessionId: null });
      events.emit('users/deleted', { userId: id });
    },
  };
}

/** The form in which addresses are kept and compared. */
export function normalizeEmail(email: string): string {
  return email.trim().normalize('NFC').toLowerCase();
}

async function takenIsConflict<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof ConstraintError && error.kind === 'unique') throw authProblems.create('email-taken');
    throw error;
  }
}
