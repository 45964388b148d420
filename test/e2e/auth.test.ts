import { Database as Sqlite } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { runCli } from '../support/cli.ts';
import { type Call, createClient, PASSWORD, register, signIn, type Tokens } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { logLines, writtenLog } from '../support/log-lines.ts';
import { startServer, type TestServer } from '../support/server.ts';

const SERVER_KEY = 'server-key-of-forty-characters-or-so-0123';
const ROOT_EMAIL = 'root@example.org';

let server: TestServer;
let call: Call;
let root: Tokens;

beforeAll(async () => {
  server = await startServer({ env: { ADMIN_EMAIL: ROOT_EMAIL, ADMIN_PASSWORD: PASSWORD, SERVER_KEY } });
  call = createClient(server.url);
  root = await signIn(call, ROOT_EMAIL);
});

afterAll(() => server?.[Symbol.asyncDispose]());

let people = 0;
const newEmail = (name = 'person') => `${name}-${++people}@example.org`;
const me = (token: string) => call('GET', '/api/auth/me', { token });
const refresh = (refresh_token: string) => call('POST', '/api/auth/refresh', { json: { refresh_token } });
const cli = (args: string[], stdin?: string) =>
  runCli(args, { cwd: server.dataDir, env: { DATA_DIR: server.dataDir }, ...(stdin === undefined ? {} : { stdin }) });

describe('registering', () => {
  test('answers with tokens and the user, and nothing that is secret', async () => {
    const answer = await call('POST', '/api/auth/register', {
      json: { email: '  Ada@Example.ORG ', password: PASSWORD, name: 'Ada' },
    });
    expect(answer.status).toBe(201);
    expect(answer.json).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      token_type: 'Bearer',
      expires_in: 900,
      refresh_token: expect.stringMatching(/^[\w-]{43}$/),
      user: {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        email: 'ada@example.org',
        name: 'Ada',
        role: 'user',
        emailVerified: false,
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      },
    });
    expect(answer.text).not.toContain(PASSWORD);
    expect(answer.text).not.toContain('argon2');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('set-cookie')).toBeNull();
  });

  test.each(['same@example.org', 'SAME@EXAMPLE.ORG', ' same@example.org'])(
    'a taken address is a conflict: %p',
    async (email) => {
      await call('POST', '/api/auth/register', { json: { email: 'same@example.org', password: PASSWORD } });
      const answer = await call('POST', '/api/auth/register', { json: { email, password: 'another password' } });
      expect([answer.status, answer.json['code']]).toEqual([409, 'auth/email-taken']);
      expect(answer.text).not.toContain('same@example.org');
      await signIn(call, 'same@example.org');
    },
  );

  test('of parallel registrations of one address exactly one succeeds', async () => {
    const email = newEmail('race');
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => call('POST', '/api/auth/register', { json: { email, password: PASSWORD } })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409, 409, 409]);
  });

  test.each<[string, object, string]>([
    ['no e-mail address', { password: PASSWORD }, '/email'],
    ['no @', { email: 'ada', password: PASSWORD }, '/email'],
    ['two @', { email: 'a@b@c.org', password: PASSWORD }, '/email'],
    ['an address with a blank inside', { email: 'a b@c.org', password: PASSWORD }, '/email'],
    ['an address of 50,000 characters', { email: `${'a'.repeat(50_000)}@example.org`, password: PASSWORD }, '/email'],
    ['an address that makes matching slow', { email: `a@${'b.'.repeat(20_000)}`, password: PASSWORD }, '/email'],
    ['an address that is a list', { email: ['a@example.org'], password: PASSWORD }, '/email'],
    ['an address that is an object', { email: { $ne: null }, password: PASSWORD }, '/email'],
    ['a password of 7 characters', { email: 'x@example.org', password: '1234567' }, '/password'],
    ['a password of 129 characters', { email: 'x@example.org', password: 'p'.repeat(129) }, '/password'],
    ['a password that is a number', { email: 'x@example.org', password: 1234567890 }, '/password'],
    ['a name of 201 characters', { email: 'x@example.org', password: PASSWORD, name: 'n'.repeat(201) }, '/name'],
  ])('%s is refused with a pointer and without the value', async (_what, json, pointer) => {
    const answer = await call('POST', '/api/auth/register', { json });
    expect([answer.status, answer.json['code']]).toEqual([422, 'request/invalid']);
    expect((answer.json['errors'] as { pointer: string }[]).map((fault) => fault.pointer)).toContain(pointer);
    for (const value of Object.values(json)) {
      if (typeof value === 'string' && value.length > 3) expect(answer.text).not.toContain(value);
    }
  });

  test('fields that are not asked for give no rights', async () => {
    const email = newEmail('mallory');
    const answer = await call('POST', '/api/auth/register', {
      json: { email, password: PASSWORD, role: 'admin', emailVerified: true, id: 'root', tokenEpoch: 9 },
    });
    expect(answer.status).toBe(201);
    expect(answer.json['user']).toMatchObject({ role: 'user', emailVerified: false });
    expect((await call('GET', '/api/users', { token: String(answer.json['access_token']) })).status).toBe(403);
  });

  test.each([
    ['Unicode', 'пароль 密碼 🔑🔑'],
    ['blanks at both ends', '  spaces count  '],
    ['128 characters', 'x'.repeat(128)],
    ['NUL', 'before\u0000after'],
  ])('a password with %s is kept as it is', async (_what, password) => {
    const email = newEmail('pw');
    await register(call, email, password);
    expect((await call('POST', '/api/auth/login', { json: { email, password } })).status).toBe(200);
    for (const near of [
      password.trim(),
      password.slice(0, -1),
      `${password}x`,
      password.split('\u0000')[0] as string,
    ]) {
      if (near === password) continue;
      expect((await call('POST', '/api/auth/login', { json: { email, password: near } })).status, near).toBe(401);
    }
  });

  test('only a hash of the password and of the refresh token is in the database', async () => {
    const password = 'a password to look for';
    const tokens = await register(call, newEmail('kept'), password);
    const database = new Sqlite(join(server.dataDir, 'main.db'), { readonly: true });
    const users = database.query('SELECT * FROM users').all();
    const kept = JSON.stringify([users, database.query('SELECT * FROM refresh_tokens').all()]);
    database.close();
    expect(kept).toContain('$argon2id$v=19$m=19456,t=2,p=1$');
    expect(kept).not.toContain(password);
    expect(kept).not.toContain(tokens.refresh_token);
  });
});

describe('signing in', () => {
  test('works with the address in any case', async () => {
    const email = newEmail('case');
    await register(call, email);
    expect((await signIn(call, email.toUpperCase())).user.email).toBe(email);
  });

  test('an unknown address and a wrong password are answered alike', async () => {
    const email = newEmail('known');
    await register(call, email);
    const tries = await Promise.all(
      [
        { email, password: 'a wrong password' },
        { email: newEmail('unknown'), password: 'a wrong password' },
        { email: 'not an address', password: 'a wrong password' },
        { email, password: '' },
      ].map((json) => call('POST', '/api/auth/login', { json })),
    );
    const [first, ...others] = tries.map(({ status, headers, json: { requestId, ...rest } }) => ({
      status,
      rest,
      challenge: headers.get('www-authenticate'),
      length: headers.get('content-length'),
    }));
    expect(first).toMatchObject({ status: 401, rest: { code: 'auth/invalid-credentials' } });
    for (const other of others) expect(other).toEqual(first as NonNullable<typeof first>);
  });

  test('an unknown address takes as long as a wrong password', async () => {
    const email = newEmail('timed');
    await register(call, email);
    const time = async (json: object) => {
      const startedAt = performance.now();
      await call('POST', '/api/auth/login', { json });
      return performance.now() - startedAt;
    };
    await time({ email: newEmail(), password: 'a wrong password' });
    const [known, unknown]: [number[], number[]] = [[], []];
    for (let round = 0; round < 9; round++) {
      known.push(await time({ email, password: 'a wrong password' }));
      unknown.push(await time({ email: newEmail('nobody'), password: 'a wrong password' }));
    }
    const ratio = median(unknown) / median(known);
    // Without a hash to compute it would be about a hundredth.
    expect(ratio).toBeGreaterThan(0.4);
    expect(ratio).toBeLessThan(2.5);
  });

  test.each([
    ["' OR '1'='1"],
    ["root@example.org' --"],
    ['root@example.org"; DROP TABLE users; --'],
    ['%@example.org'],
    ['\u0000'],
    ['\ud800'],
    ['a'.repeat(1024)],
  ])('input that means something elsewhere is just a wrong address: %p', async (email) => {
    const answer = await call('POST', '/api/auth/login', { json: { email, password: PASSWORD } });
    expect([answer.status, answer.json['code']]).toEqual([401, 'auth/invalid-credentials']);
    await signIn(call, ROOT_EMAIL);
  });

  test.each([
    ['an address of 50,000 characters', { email: 'a'.repeat(50_000), password: PASSWORD }],
    ['a password of 50,000 characters', { email: ROOT_EMAIL, password: 'a'.repeat(50_000) }],
    ['a password that is missing', { email: ROOT_EMAIL }],
    ['a password that is an object', { email: ROOT_EMAIL, password: { length: 20 } }],
  ])('%s is invalid, not wrong', async (_what, json) => {
    const answer = await call('POST', '/api/auth/login', { json });
    expect([answer.status, answer.json['code']]).toEqual([422, 'request/invalid']);
    expect(answer.text).not.toContain('aaaa');
    expect(answer.text).not.toContain(PASSWORD);
  });
});

describe('the token endpoint (RFC 6749)', () => {
  const token = (form: Record<string, string> | string) => call('POST', '/api/auth/token', { form });

  test('grants by password and by refresh token', async () => {
    const email = newEmail('oauth');
    await register(call, email);
    const first = await token({ grant_type: 'password', username: email, password: PASSWORD });
    expect(first.status).toBe(200);
    expect(first.json).toMatchObject({ token_type: 'Bearer', expires_in: 900, user: { email } });
    // §5.1: neither this answer nor a part of it may be kept.
    expect([first.headers.get('cache-control'), first.headers.get('pragma')]).toEqual(['no-store', 'no-cache']);
    expect(first.headers.get('content-type')).toStartWith('application/json');

    const second = await token({ grant_type: 'refresh_token', refresh_token: String(first.json['refresh_token']) });
    expect(second.status).toBe(200);
    expect(second.json['refresh_token']).not.toBe(first.json['refresh_token']);
    expect((await me(String(second.json['access_token']))).status).toBe(200);
  });

  test.each<[string, string, string]>([
    ['nothing at all', '', 'invalid_request'],
    ['no grant type', 'username=a&password=b', 'invalid_request'],
    ['an empty grant type', 'grant_type=&username=a&password=b', 'invalid_request'],
    ['a grant that is not offered', 'grant_type=client_credentials', 'unsupported_grant_type'],
    ['a grant of another case', 'grant_type=PASSWORD&username=a&password=b', 'unsupported_grant_type'],
    ['a grant named like a property of every object', 'grant_type=__proto__', 'unsupported_grant_type'],
    ['no password', `grant_type=password&username=${ROOT_EMAIL}`, 'invalid_request'],
    ['an empty password', `grant_type=password&username=${ROOT_EMAIL}&password=`, 'invalid_request'],
    ['no refresh token', 'grant_type=refresh_token', 'invalid_request'],
    ['a repeated grant type', 'grant_type=password&grant_type=password&username=a&password=b', 'invalid_request'],
    [
      'a repeated user name',
      `grant_type=password&username=a&username=${ROOT_EMAIL}&password=${PASSWORD}`,
      'invalid_request',
    ],
    [
      'a repeated parameter of no meaning',
      `grant_type=password&username=${ROOT_EMAIL}&password=x&z=1&z=2`,
      'invalid_request',
    ],
    ['a wrong password', `grant_type=password&username=${ROOT_EMAIL}&password=wrong`, 'invalid_grant'],
    ['an unknown user', 'grant_type=password&username=nobody@example.org&password=wrong', 'invalid_grant'],
    ['an unknown refresh token', 'grant_type=refresh_token&refresh_token=nonsense', 'invalid_grant'],
  ])('%s is an error in its own format', async (_what, form, error) => {
    const answer = await token(form);
    expect(answer.status).toBe(400);
    expect(answer.json).toEqual({ error, error_description: expect.any(String) });
    expect(answer.headers.get('content-type')).toStartWith('application/json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    // §5.2: %x20-21 / %x23-5B / %x5D-7E.
    expect(answer.json['error_description']).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
    expect(answer.text).not.toContain(ROOT_EMAIL);
  });

  test('takes no parameters from the query, and no JSON', async () => {
    const query = new URLSearchParams({ grant_type: 'password', username: ROOT_EMAIL, password: PASSWORD });
    expect((await call('POST', `/api/auth/token?${query}`)).status).toBe(400);
    const json = { grant_type: 'password', username: ROOT_EMAIL, password: PASSWORD };
    expect((await call('POST', '/api/auth/token', { json })).status).toBe(415);
    expect((await call('GET', `/api/auth/token?${query}`)).status).toBe(405);
  });
});

describe('refreshing', () => {
  test('gives new tokens, and the same ones again to who asks again at once', async () => {
    const first = await register(call, newEmail('refresh'));
    const second = await refresh(first.refresh_token);
    expect(second.status).toBe(200);
    expect(second.json['refresh_token']).not.toBe(first.refresh_token);
    expect(second.json['user']).toEqual(first.user);
    const again = await refresh(first.refresh_token);
    expect([again.status, again.json['refresh_token']]).toEqual([200, second.json['refresh_token']]);
    const third = await refresh(String(second.json['refresh_token']));
    expect(third.status).toBe(200);
    expect((await me(String(third.json['access_token']))).status).toBe(200);
  });

  test('ten at once give one successor', async () => {
    const { refresh_token } = await register(call, newEmail('parallel'));
    const answers = await Promise.all(Array.from({ length: 10 }, () => refresh(refresh_token)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ json }) => json['refresh_token'])).size).toBe(1);
  });

  test.each([['nonsense'], [''], ['a'.repeat(512)], ['__proto__']])(
    'an unknown token is refused: %p',
    async (refresh_token) => {
      const answer = await refresh(refresh_token);
      expect([answer.status, answer.json['code']]).toEqual([401, 'auth/invalid-refresh-token']);
    },
  );

  test('an access token is no refresh token, nor the other way round', async () => {
    const tokens = await register(call, newEmail('kinds'));
    expect((await refresh(tokens.access_token)).status).toBe(401);
    expect((await me(tokens.refresh_token)).status).toBe(401);
    expect((await refresh(tokens.refresh_token)).status).toBe(200);
  });
});

describe('signing out', () => {
  test('kills both tokens of this login at once and no other login', async () => {
    const email = newEmail('out');
    const [here, there] = [await register(call, email), await signIn(call, email)];
    expect((await me(here.access_token)).status).toBe(200);
    expect((await call('POST', '/api/auth/logout', { token: here.access_token })).status).toBe(204);
    const answer = await me(here.access_token);
    expect([answer.status, answer.json['code']]).toEqual([401, 'auth/invalid-token']);
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect((await refresh(here.refresh_token)).status).toBe(401);
    expect((await me(there.access_token)).status).toBe(200);
    expect((await refresh(there.refresh_token)).status).toBe(200);
  });

  test('works with the refresh token alone', async () => {
    const tokens = await register(call, newEmail('out'));
    const json = { refresh_token: tokens.refresh_token };
    expect((await call('POST', '/api/auth/logout', { json })).status).toBe(204);
    expect((await me(tokens.access_token)).status).toBe(401);
    expect((await refresh(tokens.refresh_token)).status).toBe(401);
  });

  test('everywhere ends every login of that user and of nobody else', async () => {
    const email = newEmail('everywhere');
    const logins = [await register(call, email), await signIn(call, email), await signIn(call, email)];
    const other = await register(call, newEmail('other'));
    const options = { token: logins[1]?.access_token as string, json: { everywhere: true } };
    expect((await call('POST', '/api/auth/logout', options)).status).toBe(204);
    for (const { access_token, refresh_token } of logins) {
      expect((await me(access_token)).status).toBe(401);
      expect((await refresh(refresh_token)).status).toBe(401);
    }
    expect((await me(other.access_token)).status).toBe(200);
  });

  test('asks for nothing: without any login it answers the same', async () => {
    expect((await call('POST', '/api/auth/logout')).status).toBe(204);
    expect((await call('POST', '/api/auth/logout', { token: 'nonsense' })).status).toBe(204);
    expect(
      (await call('POST', '/api/auth/logout', { json: { refresh_token: 'nonsense', everywhere: true } })).status,
    ).toBe(204);
    expect((await me(root.access_token)).status).toBe(200);
  });
});

describe("one's own account", () => {
  test('can be read and renamed, by its owner only', async () => {
    const { access_token: token, user } = await register(call, newEmail('me'));
    expect((await me(token)).json).toEqual(user);
    const renamed = await call('PATCH', '/api/auth/me', { token, json: { name: 'Grace' } });
    expect([renamed.status, renamed.json['name']]).toEqual([200, 'Grace']);
    expect((await me(token)).json['name']).toBe('Grace');
    expect((await call('GET', '/api/auth/me')).json['code']).toBe('auth/required');
  });

  test('fields that are not asked for change nothing', async () => {
    const { access_token: token, user } = await register(call, newEmail('rights'));
    await call('PATCH', '/api/auth/me', {
      token,
      json: { name: 'n', role: 'admin', emailVerified: true, id: 'x', tokenEpoch: 1, disabled: true },
    });
    expect((await me(token)).json).toEqual({ ...user, name: 'n' });
  });

  test('a new address asks for the password, and must be free', async () => {
    const email = newEmail('move');
    const { access_token: token } = await register(call, email);
    const target = newEmail('moved');
    const change = (json: object) => call('PATCH', '/api/auth/me', { token, json });
    expect((await change({ email: target })).status).toBe(401);
    expect((await change({ email: target, currentPassword: 'wrong' })).status).toBe(401);
    expect((await change({ email: ROOT_EMAIL, currentPassword: PASSWORD })).json['code']).toBe('auth/email-taken');
    expect((await change({ email: target.toUpperCase(), currentPassword: PASSWORD })).json['email']).toBe(target);
    expect((await call('POST', '/api/auth/login', { json: { email, password: PASSWORD } })).status).toBe(401);
    await signIn(call, target);
  });

  test('a new password asks for the old one and ends every other login', async () => {
    const email = newEmail('password');
    const [here, there] = [await register(call, email), await signIn(call, email)];
    const change = (currentPassword: string, newPassword: string) =>
      call('POST', '/api/auth/password', { token: here.access_token, json: { currentPassword, newPassword } });
    expect((await change('wrong', 'a new password')).status).toBe(401);
    expect((await change(PASSWORD, 'short')).status).toBe(422);
    expect((await me(there.access_token)).status).toBe(200);

    const changed = await change(PASSWORD, 'a new password');
    expect(changed.status).toBe(200);
    for (const { access_token, refresh_token } of [here, there]) {
      expect((await me(access_token)).status).toBe(401);
      expect((await refresh(refresh_token)).status).toBe(401);
    }
    expect((await me(String(changed.json['access_token']))).status).toBe(200);
    expect((await refresh(String(changed.json['refresh_token']))).status).toBe(200);
    expect((await call('POST', '/api/auth/login', { json: { email, password: PASSWORD } })).status).toBe(401);
    await signIn(call, email, 'a new password');
  });

  test('deleting it takes its files with their bytes, and frees the address', async () => {
    const email = newEmail('gone');
    const { access_token: token, refresh_token, user } = await register(call, email);
    const form = new FormData();
    form.append('file', new File(['bytes of somebody who leaves'], 'a.txt'));
    const uploaded = await call('POST', '/api/files', { token, body: form });
    const [file] = uploaded.json['items'] as { id: string; url: string }[];
    await call('PATCH', `/api/files/${file?.id}`, { token, json: { visibility: 'public' } });
    expect((await call('GET', file?.url as string)).status).toBe(200);
    const objects = () => Array.from(new Bun.Glob('**/*').scanSync(join(server.dataDir, 'objects')));
    expect(objects()).not.toEqual([]);

    expect((await call('DELETE', '/api/auth/me', { token })).status).toBe(204);
    expect((await me(token)).status).toBe(401);
    expect((await refresh(refresh_token)).status).toBe(401);
    expect((await call('GET', file?.url as string)).status).toBe(401);
    expect((await call('GET', `/api/users/${user.id}`, { token: root.access_token })).status).toBe(404);
    await eventually(() => objects().length === 0);
    expect((await register(call, email)).user.id).not.toBe(user.id);
  });
});

describe('what an admin does', () => {
  const change = (id: string, json: object, token = root.access_token) =>
    call('PATCH', `/api/users/${id}`, { token, json });

  test('is not for others', async () => {
    const { access_token: token, user } = await register(call, newEmail('plain'));
    for (const [method, path] of [
      ['GET', '/api/users'],
      ['GET', `/api/users/${user.id}`],
      ['PATCH', `/api/users/${user.id}`],
      ['DELETE', `/api/users/${user.id}`],
      ['DELETE', `/api/users/${root.user.id}`],
    ] as const) {
      const refused = await call(method, path, { token, ...(method === 'PATCH' ? { json: { role: 'admin' } } : {}) });
      expect([refused.status, refused.json['code']], `${method} ${path}`).toEqual([403, 'auth/forbidden']);
      expect((await call(method, path)).status, `${method} ${path}`).toBe(401);
    }
    expect((await me(token)).json['role']).toBe('user');
  });

  test('lists accounts page by page, newest first, without hashes', async () => {
    const newest = await register(call, newEmail('newest'));
    const seen: string[] = [];
    let path = '/api/users?limit=3';
    for (;;) {
      const page = await call('GET', path, { token: root.access_token });
      expect(page.status).toBe(200);
      expect(page.text).not.toMatch(/argon2|passwordHash|tokenEpoch/);
      const items = page.json['items'] as { id: string; disabled: boolean }[];
      expect(items.length).toBeLessThanOrEqual(3);
      seen.push(...items.map(({ id }) => id));
      const cursor = page.json['nextCursor'];
      if (cursor === null) break;
      path = `/api/users?limit=3&cursor=${encodeURIComponent(String(cursor))}`;
    }
    expect(seen[0]).toBe(newest.user.id);
    expect(seen.at(-1)).toBe(root.user.id);
    expect(seen).toEqual([...new Set(seen)].sort().reverse());
  });

  test.each(['?limit=0', '?limit=201', '?limit=x', '?limit=1.5', `?cursor=${'c'.repeat(600)}`])(
    'a bad page is refused: %s',
    async (query) => {
      expect((await call('GET', `/api/users${query}`, { token: root.access_token })).status).toBe(422);
    },
  );

  test('GHSA-56p6-qw3c-fq2g: disabling a user bites at once, and enabling brings back no old token', async () => {
    const email = newEmail('disabled');
    const tokens = await register(call, email);
    const cookie = await cookieOf(email);
    expect((await me(tokens.access_token)).status).toBe(200);

    expect((await change(tokens.user.id, { disabled: true })).json['disabled']).toBe(true);
    expect((await me(tokens.access_token)).status).toBe(401);
    expect((await refresh(tokens.refresh_token)).status).toBe(401);
    expect((await call('GET', '/api/auth/me', { headers: { cookie } })).status).toBe(401);
    const login = await call('POST', '/api/auth/login', { json: { email, password: PASSWORD } });
    expect([login.status, login.json['code']]).toEqual([401, 'auth/invalid-credentials']);

    expect((await change(tokens.user.id, { disabled: false })).json['disabled']).toBe(false);
    expect((await me(tokens.access_token)).status).toBe(401);
    expect((await refresh(tokens.refresh_token)).status).toBe(401);
    await signIn(call, email);
  });

  test('a change of role bites at once', async () => {
    const email = newEmail('role');
    const { user } = await register(call, email);
    expect((await change(user.id, { role: 'admin' })).json['role']).toBe('admin');
    const admin = await signIn(call, email);
    expect((await call('GET', '/api/users', { token: admin.access_token })).status).toBe(200);
    await change(user.id, { role: 'user' });
    expect((await call('GET', '/api/users', { token: admin.access_token })).status).toBe(401);
    expect((await call('GET', '/api/users', { token: (await signIn(call, email)).access_token })).status).toBe(403);
  });

  test('a change that leaves a field out leaves it as it was', async () => {
    const { user } = await register(call, newEmail('partial'));
    await change(user.id, { role: 'admin' });
    expect((await change(user.id, { disabled: true })).json).toMatchObject({ role: 'admin', disabled: true });
    expect((await change(user.id, {})).json).toMatchObject({ role: 'admin', disabled: true });
    expect((await change(user.id, { disabled: false })).json).toMatchObject({ role: 'admin', disabled: false });
    expect((await change(user.id, { role: 'user' })).json).toMatchObject({ role: 'user', disabled: false });
  });

  test('a role or a state that does not exist is refused', async () => {
    const { user } = await register(call, newEmail('odd'));
    for (const json of [{ role: 'owner' }, { role: null }, { disabled: 'yes' }, { role: ['admin'] }]) {
      expect((await change(user.id, json)).status, JSON.stringify(json)).toBe(422);
    }
  });

  test('an unknown id is not found', async () => {
    for (const id of ['0198c0de-0000-7000-8000-000000000000', 'x', '__proto__', "'%20OR%201=1--"]) {
      expect((await change(id, { disabled: true })).status, id).toBe(404);
      expect((await call('DELETE', `/api/users/${id}`, { token: root.access_token })).status, id).toBe(404);
    }
  });

  test('deleting an account ends it', async () => {
    const email = newEmail('removed');
    const tokens = await register(call, email);
    expect((await call('DELETE', `/api/users/${tokens.user.id}`, { token: root.access_token })).status).toBe(204);
    expect((await me(tokens.access_token)).status).toBe(401);
    expect((await call('POST', '/api/auth/login', { json: { email, password: PASSWORD } })).status).toBe(401);
  });

  test('the last enabled admin stays', async () => {
    const { user } = await register(call, newEmail('second'));
    await change(user.id, { role: 'admin' });
    await change(user.id, { disabled: true });
    for (const attempt of [
      () => change(root.user.id, { role: 'user' }),
      () => change(root.user.id, { disabled: true }),
      () => call('DELETE', `/api/users/${root.user.id}`, { token: root.access_token }),
      () => call('DELETE', '/api/auth/me', { token: root.access_token }),
      () => call('DELETE', `/api/users/${root.user.id}`, { token: SERVER_KEY }),
    ]) {
      const answer = await attempt();
      expect([answer.status, answer.json['code']]).toEqual([409, 'auth/last-admin']);
    }
    expect((await me(root.access_token)).json['role']).toBe('admin');
  });

  test('of two admins who demote each other at once, one stays', async () => {
    const fresh = await startServer({ env: { SERVER_KEY, ADMIN_EMAIL: ROOT_EMAIL, ADMIN_PASSWORD: PASSWORD } });
    try {
      const there = createClient(fresh.url);
      const [a, b] = [await signIn(there, ROOT_EMAIL), await register(there, 'b@example.org')];
      await there('PATCH', `/api/users/${b.user.id}`, { token: SERVER_KEY, json: { role: 'admin' } });
      const statuses = await Promise.all(
        [a, b].map(
          async ({ user }) =>
            (await there('PATCH', `/api/users/${user.id}`, { token: SERVER_KEY, json: { role: 'user' } })).status,
        ),
      );
      expect(statuses.sort()).toEqual([200, 409]);
    } finally {
      await fresh[Symbol.asyncDispose]();
    }
  });
});

describe('a server key', () => {
  test('has admin rights and no account', async () => {
    expect((await call('GET', '/api/users', { token: SERVER_KEY })).status).toBe(200);
    for (const [method, path] of [
      ['GET', '/api/auth/me'],
      ['DELETE', '/api/auth/me'],
      ['GET', '/api/files'],
    ] as const) {
      const answer = await call(method, path, { token: SERVER_KEY });
      expect([answer.status, answer.json['code']], path).toEqual([403, 'auth/user-required']);
    }
  });

  test.each([SERVER_KEY.slice(0, -1), `${SERVER_KEY}x`, SERVER_KEY.toUpperCase(), ''])(
    'is compared whole: %p',
    async (token) => {
      expect((await call('GET', '/api/users', { token })).status).toBe(401);
    },
  );

  test('is no cookie and no password', async () => {
    expect((await call('GET', '/api/users', { headers: { cookie: `__Host-bunkhouse=${SERVER_KEY}` } })).status).toBe(
      401,
    );
    expect((await call('GET', `/api/users?token=${SERVER_KEY}&access_token=${SERVER_KEY}`)).status).toBe(401);
    const login = await call('POST', '/api/auth/login', { json: { email: 'server', password: SERVER_KEY } });
    expect(login.status).toBe(401);
  });
});

describe('the cookie', () => {
  test('is made for this host alone, out of reach of scripts, and only when asked for', async () => {
    const email = newEmail('cookie');
    await register(call, email);
    const plain = await call('POST', '/api/auth/login', { json: { email, password: PASSWORD } });
    expect(plain.headers.get('set-cookie')).toBeNull();
    const withCookie = await call('POST', '/api/auth/login', { json: { email, password: PASSWORD, cookie: true } });
    const [pair, ...attributes] = (withCookie.headers.get('set-cookie') ?? '').split('; ');
    expect(pair).toMatch(/^__Host-bunkhouse=[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(attributes.sort()).toEqual([
      'HttpOnly',
      expect.stringMatching(/^Max-Age=77[67]\d{4}$/),
      'Path=/',
      'SameSite=Lax',
      'Secure',
    ]);
    expect(withCookie.text).not.toContain(pair?.split('=')[1] as string);
  });

  test('signs in, also between other cookies', async () => {
    const email = newEmail('cookie');
    await register(call, email);
    const cookie = await cookieOf(email);
    for (const header of [cookie, `a=b; ${cookie}`, `${cookie}; c=d`, `x__Host-bunkhouse=1; ${cookie};`]) {
      expect((await call('GET', '/api/auth/me', { headers: { cookie: header } })).json['email'], header).toBe(email);
    }
  });

  test('is no access token, and an access token is no cookie, also once they were seen', async () => {
    const email = newEmail('cookie');
    const tokens = await register(call, email);
    const cookie = await cookieOf(email);
    const value = cookie.split('=')[1] as string;
    const crossed = () =>
      Promise.all([
        me(value),
        call('GET', '/api/auth/me', { headers: { cookie: `__Host-bunkhouse=${tokens.access_token}` } }),
      ]);
    for (const answer of await crossed()) expect(answer.status).toBe(401);
    expect((await call('GET', '/api/auth/me', { headers: { cookie } })).status).toBe(200);
    expect((await me(tokens.access_token)).status).toBe(200);
    for (const answer of await crossed()) expect(answer.status).toBe(401);
  });

  const own = () => new URL(server.url).origin;
  test.each<[string, () => Record<string, string>, number]>([
    ['neither Origin nor Sec-Fetch-Site', () => ({}), 403],
    ['Sec-Fetch-Site: same-origin', () => ({ 'sec-fetch-site': 'same-origin' }), 200],
    ['Sec-Fetch-Site: same-site', () => ({ 'sec-fetch-site': 'same-site' }), 403],
    ['Sec-Fetch-Site: cross-site', () => ({ 'sec-fetch-site': 'cross-site' }), 403],
    ['Sec-Fetch-Site: none', () => ({ 'sec-fetch-site': 'none' }), 403],
    ['Sec-Fetch-Site: same-origin, in another case', () => ({ 'sec-fetch-site': 'Same-Origin' }), 403],
    ['the own Origin', () => ({ origin: own() }), 200],
    ['the own Origin of another port', () => ({ origin: 'http://127.0.0.1:1' }), 403],
    ['a foreign Origin', () => ({ origin: 'https://evil.example' }), 403],
    ['Origin: null', () => ({ origin: 'null' }), 403],
    ['an Origin that starts like ours', () => ({ origin: `${own()}.evil.example` }), 403],
    ['the own Origin, contradicted', () => ({ origin: own(), 'sec-fetch-site': 'cross-site' }), 403],
    ['a Referer of ours alone', () => ({ referer: `${own()}/` }), 403],
  ])('with %s a change is judged', async (_what, headers, status) => {
    const cookie = await rootCookie();
    const answer = await call('PATCH', '/api/auth/me', { json: { name: 'x' }, headers: { cookie, ...headers() } });
    expect(answer.status).toBe(status);
    if (status === 403) expect(answer.json['code']).toBe('auth/cross-site');
    expect((await call('GET', '/api/auth/me', { headers: { cookie, ...headers() } })).status).toBe(200);
  });

  test('a change from a foreign page is refused whatever its body is called', async () => {
    const cookie = await rootCookie();
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      const headers = { cookie, origin: 'https://evil.example', 'content-type': type };
      for (const path of ['/api/auth/me', '/api/auth/password', '/api/files', '/api/auth/logout']) {
        const method = path === '/api/auth/me' ? 'PATCH' : 'POST';
        expect((await call(method, path, { body: '{"name":"x"}', headers })).status, `${type} ${path}`).toBe(403);
      }
    }
  });

  test('an unsafe request of our own page must still say application/json', async () => {
    const headers = { cookie: await rootCookie(), 'sec-fetch-site': 'same-origin', 'content-type': 'text/plain' };
    expect((await call('PATCH', '/api/auth/me', { body: '{"name":"x"}', headers })).status).toBe(415);
  });

  test('signing out by cookie ends the login and takes the cookie back', async () => {
    const email = newEmail('cookie');
    await register(call, email);
    const cookie = await cookieOf(email);
    const answer = await call('POST', '/api/auth/logout', { headers: { cookie, 'sec-fetch-site': 'same-origin' } });
    expect(answer.status).toBe(204);
    expect(answer.headers.get('set-cookie')).toStartWith('__Host-bunkhouse=; Max-Age=0; ');
    expect((await call('GET', '/api/auth/me', { headers: { cookie } })).status).toBe(401);
  });

  test('changing the password by cookie gives the browser a new one', async () => {
    const email = newEmail('cookie');
    await register(call, email);
    const cookie = await cookieOf(email);
    const answer = await call('POST', '/api/auth/password', {
      json: { currentPassword: PASSWORD, newPassword: 'a new password' },
      headers: { cookie, 'sec-fetch-site': 'same-origin' },
    });
    expect(answer.status).toBe(200);
    const fresh = (answer.headers.get('set-cookie') ?? '').split(';')[0] as string;
    expect((await call('GET', '/api/auth/me', { headers: { cookie } })).status).toBe(401);
    expect((await call('GET', '/api/auth/me', { headers: { cookie: fresh } })).status).toBe(200);
  });

  test('CVE-2026-31865: odd cookies harm nobody', async () => {
    const cookie = await rootCookie();
    for (const odd of [
      '__proto__=polluted',
      'constructor=1; __proto__[role]=admin',
      '=',
      ';;;',
      '%',
      `x=${'y'.repeat(4000)}`,
    ]) {
      expect((await call('GET', '/api/auth/me', { headers: { cookie: odd } })).status, odd).toBe(401);
      expect((await call('GET', '/api/auth/me', { headers: { cookie: `${odd}; ${cookie}` } })).status, odd).toBe(200);
    }
  });

  const rootCookie = () => cookieOf(ROOT_EMAIL);
});

describe('the command line beside the running server', () => {
  test('disabling and a change of role bite at once in the server', async () => {
    const email = newEmail('cli');
    const tokens = await register(call, email);
    const cookie = await cookieOf(email);
    expect((await me(tokens.access_token)).status).toBe(200);
    expect((await call('GET', '/api/auth/me', { headers: { cookie } })).status).toBe(200);

    expect(await cli(['user', 'disable', email])).toMatchObject({
      code: 0,
      stdout: `${email} is disabled\n`,
      stderr: '',
    });
    expect((await me(tokens.access_token)).status).toBe(401);
    expect((await call('GET', '/api/auth/me', { headers: { cookie } })).status).toBe(401);
    expect((await refresh(tokens.refresh_token)).status).toBe(401);

    expect((await cli(['user', 'disable', email, '--enable'])).code).toBe(0);
    const back = await signIn(call, email);
    expect((await call('GET', '/api/users', { token: back.access_token })).status).toBe(403);
    expect((await cli(['user', 'role', email, 'admin'])).code).toBe(0);
    expect((await me(back.access_token)).status).toBe(401);
    const admin = await signIn(call, email);
    expect((await call('GET', '/api/users', { token: admin.access_token })).status).toBe(200);
    expect((await cli(['user', 'role', email, 'user'])).code).toBe(0);
    expect((await call('GET', '/api/users', { token: admin.access_token })).status).toBe(401);
  });

  test('creates an account that can sign in', async () => {
    const email = newEmail('cli');
    const created = await cli(['user', 'create', '--email', email, '--password-stdin', '--json'], `${PASSWORD}\n`);
    expect(created.code).toBe(0);
    expect(JSON.parse(created.stdout)).toEqual({ id: expect.any(String), email, role: 'user' });
    expect((await signIn(call, email)).user.id).toBe(JSON.parse(created.stdout).id);
  });
});

describe('bodies', () => {
  test.each([
    ['{', 'request/malformed-json', 400],
    ['{"email":"a@example.org","password":"', 'request/malformed-json', 400],
    ['nonsense', 'request/malformed-json', 400],
    ['[]', 'request/invalid', 422],
    ['null', 'request/invalid', 422],
    ['"text"', 'request/invalid', 422],
    ['{}', 'request/invalid', 422],
  ])('%s is %s', async (body, code, status) => {
    const answer = await call('POST', '/api/auth/login', { body, headers: { 'content-type': 'application/json' } });
    expect([answer.status, answer.json['code']]).toEqual([status, code]);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });

  test('CVE-2025-66456: __proto__ and constructor in JSON are nothing special', async () => {
    const email = newEmail('proto');
    const body = `{"email":"${email}","password":"${PASSWORD}","__proto__":{"role":"admin","polluted":true},
      "constructor":{"prototype":{"polluted":true}}}`;
    const answer = await call('POST', '/api/auth/register', { body, headers: { 'content-type': 'application/json' } });
    expect(answer.json['user']).toMatchObject({ email, role: 'user' });
    expect(answer.text).not.toContain('polluted');
    const { access_token: token } = await register(call, newEmail('after'));
    const own = await me(token);
    expect(own.text).not.toContain('polluted');
    expect((await call('GET', '/api/users', { token })).status).toBe(403);
  });
});

async function cookieOf(email: string): Promise<string> {
  const answer = await call('POST', '/api/auth/login', { json: { email, password: PASSWORD, cookie: true } });
  return (answer.headers.get('set-cookie') ?? '').split(';')[0] as string;
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

test('nothing that was secret is in the log, and nothing went wrong unexpectedly', async () => {
  const output = await writtenLog(server);
  expect(logLines(output, 'info').some(({ route }) => route === '/api/auth/login')).toBe(true);
  for (const secret of [
    PASSWORD,
    SERVER_KEY,
    root.access_token,
    root.refresh_token,
    'a new password',
    'a wrong password',
  ]) {
    expect(output.includes(secret), 'a secret is in the log').toBe(false);
  }
  expect(logLines(output, 'error')).toEqual([]);
  expect(output.includes('@example.org'), 'an address is in the log').toBe(false);
});
