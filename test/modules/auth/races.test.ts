import { expect, test } from 'bun:test';
import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import { createEvents } from '../../../src/kernel/events.ts';
import { createAccounts } from '../../../src/modules/auth/accounts.ts';
import { createSessions } from '../../../src/modules/auth/sessions.ts';
import { systemClock } from '../../../src/ports/clock.ts';

/** Real accounts and sessions on a database in memory, with passwords that cost nothing. */
async function setUp() {
  const database = await openEmbeddedDatabase({ name: 'main', path: ':memory:' });
  await migrate(database, loadMigrations());
  const events = createEvents(() => undefined);
  const hasher = {
    hash: async (password: string) => `plain:${password}`,
    verify: async (password: string, hash: string) => hash === `plain:${password}`,
    isOutdated: () => false,
  };
  const accounts = createAccounts({ database, clock: systemClock, events, hasher });
  const accessTokens = { sign: async () => 'token', verify: async () => null };
  const sessions = createSessions({
    database,
    clock: systemClock,
    events,
    accessTokens,
    successorKey: new Uint8Array(32),
  });
  await accounts.create({ email: 'root@example.org', password: 'password', role: 'admin' });
  const verified = await accounts.create({ email: 'ada@example.org', password: 'password' });
  return { accounts, sessions, verified };
}

type House = Awaited<ReturnType<typeof setUp>>;

/** What happens to the account between the check of its password and the beginning of the login. */
const meanwhile: Record<string, (house: House) => Promise<unknown>> = {
  'its password is changed': ({ accounts, verified }) =>
    accounts.setPassword(verified, 'another one', async () => null),
  'it is signed out everywhere': ({ sessions, verified }) => sessions.endAll(verified.id),
  'it is disabled': ({ accounts, verified }) => accounts.setRights(verified.id, { disabled: true }),
  'it is disabled and enabled again': async ({ accounts, verified }) => {
    await accounts.setRights(verified.id, { disabled: true });
    await accounts.setRights(verified.id, { disabled: false });
  },
  'it is deleted': ({ accounts, verified }) => accounts.remove(verified.id),
};

test.each(Object.keys(meanwhile))(
  'a login whose account changes while it is checked does not begin: %s',
  async (what) => {
    const house = await setUp();
    await meanwhile[what]?.(house);
    const failure = await house.sessions.begin(house.verified).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'auth/invalid-credentials' });
  },
);

test('a password that was changed meanwhile cannot be changed with the old one', async () => {
  const { accounts, verified } = await setUp();
  await accounts.setPassword(verified, 'the first', async () => null);
  const failure = await accounts.setPassword(verified, 'the second', async () => null).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'auth/invalid-credentials' });
  expect((await accounts.get(verified.id)).passwordHash).toBe('plain:the first');
});
