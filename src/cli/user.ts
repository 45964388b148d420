import { parseArgs } from 'node:util';
import { type Config, loadConfig } from '../config/load.ts';
import { bunPasswordHasher } from '../drivers/bun-password-hasher.ts';
import { ROLES, type Role } from '../kernel/caller.ts';
import { createEvents } from '../kernel/events.ts';
import { type Accounts, createAccounts } from '../modules/auth/index.ts';
import { systemClock } from '../ports/clock.ts';
import { type Command, CommandError, print, table } from './command.ts';
import { requireMigrated, withDatabase } from './open-database.ts';

const USAGE = `Usage: bunkhouse user create --email E --password-stdin [--name N] [--role user|admin] [--json]
       bunkhouse user list [--json]
       bunkhouse user role EMAIL user|admin
       bunkhouse user disable EMAIL [--enable]`;

export const userCommand: Command = {
  summary: 'Create and manage accounts',
  help: `${USAGE}

Works with the server stopped or running; what it changes bites at once. The password is read from standard input:
  printf %s "$PASSWORD" | bunkhouse user create --email ada@example.org --password-stdin --role admin`,
  async run([action, ...args]) {
    const act = action !== undefined && Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (!act) throw new CommandError('say "user create", "user list", "user role" or "user disable"');
    return act(loadConfig(process.env), args);
  },
};

const ACTIONS: Readonly<Record<string, (config: Config, args: string[]) => Promise<number>>> = {
  async create(config, args) {
    const { values } = parseArgs({
      args,
      options: {
        email: { type: 'string' },
        'password-stdin': { type: 'boolean', default: false },
        name: { type: 'string', default: '' },
        role: { type: 'string', default: 'user' },
        json: { type: 'boolean', default: false },
      },
    });
    const email = values.email?.trim();
    if (!email || !/^[^\s@]{1,64}@[^\s@]+$/.test(email)) throw new CommandError('--email needs an e-mail address');
    if (!values['password-stdin'])
      throw new CommandError('--password-stdin is needed: the password is read from there');
    const role = toRole(values.role);
    const password = (await new Response(Bun.stdin.stream()).text()).replace(/\r?\n$/, '');
    if (password.length < 8 || password.length > 128)
      throw new CommandError('the password must have 8 to 128 characters');
    const user = await withAccounts(config, (accounts) =>
      accounts.create({ email, password, name: values.name, role }),
    );
    const shown = { id: user.id, email: user.email, role: user.role };
    print(values.json, shown, () => [`created ${user.role} ${user.email} (${user.id})`]);
    return 0;
  },

  async list(config, args) {
    const { values } = parseArgs({ args, options: { json: { type: 'boolean', default: false } } });
    const users = await withAccounts(config, listAll);
    const shown = users.map(({ id, email, name, role, disabledAt, createdAt }) => {
      return { id, email, name, role, disabled: disabledAt !== null, createdAt: new Date(createdAt).toISOString() };
    });
    print(values.json, shown, () =>
      table(shown.map(({ id, email, role, disabled }) => [id, email, role, disabled ? 'disabled' : ''])),
    );
    return 0;
  },

  async role(config, [email, role]) {
    const wanted = toRole(role);
    const user = await withUser(config, email, (accounts, id) => accounts.setRights(id, { role: wanted }));
    process.stdout.write(`${user.email} has the role ${user.role}\n`);
    return 0;
  },

  async disable(config, args) {
    const { values, positionals } = parseArgs({
      args,
      options: { enable: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    const user = await withUser(config, positionals[0], (accounts, id) =>
      accounts.setRights(id, { disabled: !values.enable }),
    );
    process.stdout.write(`${user.email} is ${values.enable ? 'enabled' : 'disabled'}\n`);
    return 0;
  },
};

function toRole(text: string | undefined): Role {
  const role = ROLES.find((known) => known === text);
  if (!role) throw new CommandError(`the role must be one of ${ROLES.join(', ')}`);
  return role;
}

function withAccounts<T>(config: Config, work: (accounts: Accounts) => Promise<T>): Promise<T> {
  return withDatabase(config, async (database) => {
    await requireMigrated(config, database);
    const events = createEvents(() => undefined);
    const hasher = bunPasswordHasher({ concurrency: 1, maxWaiting: 1 });
    return work(createAccounts({ database, clock: systemClock, events, hasher }));
  });
}

function withUser<T>(
  config: Config,
  email: string | undefined,
  work: (accounts: Accounts, id: string) => Promise<T>,
): Promise<T> {
  if (email === undefined) throw new CommandError('the e-mail address of the account is needed');
  return withAccounts(config, async (accounts) => {
    const user = (await accounts.findByEmail(email)) ?? (await accounts.get(email));
    return work(accounts, user.id);
  });
}

async function listAll(accounts: Accounts) {
  const users = [];
  for (let cursor: string | null = null; ; ) {
    const page: Awaited<ReturnType<Accounts['list']>> = await accounts.list(200, cursor);
    users.push(...page.items);
    cursor = page.nextCursor;
    if (cursor === null) return users;
  }
}
