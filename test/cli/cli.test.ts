import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadMigrations } from '../../src/db/migrate.ts';
import { VERSION } from '../../src/paths.ts';
import { runCli } from '../support/cli.ts';
import { startUpstream } from '../support/upstream.ts';

setDefaultTimeout(30_000);

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'bunkhouse-cli-'));
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

const cli = (args: string[], env: Record<string, string> = {}, stdin = '') => runCli(args, { cwd, env, stdin });
const PASSWORD = 'correct horse battery';

describe('the command line', () => {
  test.each(['serve', 'test', 'migrate', 'user', 'db', 'cache', 'config', 'doctor', 'parse', 'openapi'])(
    '%s explains itself, and does nothing',
    async (name) => {
      const { code, stdout, stderr } = await cli([name, '--help']);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toContain(`bunkhouse ${name}`);
      expect(existsSync(join(cwd, 'data'))).toBe(false);
    },
  );

  test('says what there is, and its version', async () => {
    expect((await cli(['--help'])).stdout).toContain('doctor');
    expect((await cli([])).code).toBe(2);
    expect((await cli(['--version'])).stdout).toBe(`${VERSION}\n`);
  });

  test.each([
    [['nonsense']],
    [['__proto__']],
    [['constructor']],
    [['user']],
    [['user', 'nonsense']],
    [['user', '__proto__']],
    [['user', 'create']],
    [['user', 'create', '--email', 'nonsense', '--password-stdin']],
    [['user', 'create', '--email', 'a@example.org']],
    [['user', 'create', '--email', 'a@example.org', '--password-stdin', '--role', 'owner']],
    [['user', 'create', '--email', 'a@example.org', '--password', 'on the command line']],
    [['user', 'role', 'a@example.org', 'owner']],
    [['user', 'role', 'nobody@example.org', 'admin']],
    [['user', 'disable', 'nobody@example.org']],
    [['user', 'disable']],
    [['db']],
    [['db', 'nonsense']],
    [['cache']],
    [['cache', '__proto__']],
    [['cache', 'purge']],
    [['cache', 'stats', '--nonsense']],
    [['cache', 'stats']],
    [['cache', 'warm']],
    [['cache', 'explain']],
    [['cache', 'explain', '/a', '--header', 'nonsense']],
    [['cache', 'explain', '/a']],
    [['cache', 'warm', '--file', 'nowhere.txt']],
    [['migrate', '--database', 'nonsense']],
    [['config', '--nonsense']],
  ])('%j fails with one clear line', async (args) => {
    const { code, stdout, stderr } = await cli(args, { DATA_DIR: join(cwd, 'errors') }, 'short');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^bunkhouse: [^\n]+\n$/);
    expect(stderr).not.toContain('    at ');
  });
});

describe('settings with faults', () => {
  test.each([
    [['serve']],
    [['migrate']],
    [['user', 'list']],
    [['db', 'list']],
    [['config']],
    [['config', '--json']],
    [['doctor']],
    [['openapi']],
  ])('%j tells all of them without their values and exits with 78', async (args) => {
    const env = {
      PORT: 'my-secret-port',
      RATE_LIMIT: 'my-secret-rate',
      BUNKHOUSE_SECRET: 'my-secret',
      NODE_ENV: 'production',
    };
    const { code, stdout, stderr } = await cli(args, env);
    expect([code, stdout]).toEqual([78, '']);
    for (const name of ['PORT', 'RATE_LIMIT', 'BUNKHOUSE_SECRET']) expect(stderr).toContain(`\n  ${name} `);
    expect(stderr).not.toContain('my-secret');
  });

  test('production asks for a secret', async () => {
    const { code, stderr } = await cli(['serve'], { NODE_ENV: 'production' });
    expect(code).toBe(78);
    expect(stderr).toContain('BUNKHOUSE_SECRET is required');
  });
});

describe('config', () => {
  const env = {
    SERVER_KEY: 'the-server-key-value-0123456789-012345',
    BUNKHOUSE_SECRET: 'the-secret-value-0123456789-0123456789',
    PORT: '4321',
  };

  test('shows the settings in force as JSON, secrets masked', async () => {
    const { code, stdout } = await cli(['config', '--json'], env);
    expect(code).toBe(0);
    expect(stdout).not.toContain('the-server-key-value');
    expect(stdout).not.toContain('the-secret-value');
    const settings = JSON.parse(stdout) as { name: string; value: unknown; source: string }[];
    expect(settings).toContainEqual({ name: 'PORT', value: 4321, source: 'environment', isPlanned: false } as never);
    expect(settings.find(({ name }) => name === 'SERVER_KEY')?.value).toBe('********');
    expect(settings.find(({ name }) => name === 'ADMIN_PASSWORD')?.value).toBeNull();
  });

  test('shows them to people, secrets masked', async () => {
    const { code, stdout } = await cli(['config'], env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^PORT +4321 +environment$/m);
    expect(stdout).toMatch(/^SERVER_KEY +\*+ +environment$/m);
    expect(stdout).not.toContain('the-secret-value');
  });

  test('reads .env, which the environment overrides', async () => {
    const folder = await mkdtemp(join(cwd, 'env-'));
    await writeFile(join(folder, '.env'), 'PORT=1111\nHOST=localhost\nLOG_LEVEL=\n');
    const settings = JSON.parse(
      (await runCli(['config', '--json'], { cwd: folder, env: { PORT: '2222' } })).stdout,
    ) as { name: string; value: unknown }[];
    const values = Object.fromEntries(settings.map(({ name, value }) => [name, value]));
    expect(values).toMatchObject({ PORT: 2222, HOST: 'localhost', LOG_LEVEL: 'info' });
  });
});

describe('accounts, with the server stopped', () => {
  const env = () => ({ DATA_DIR: join(cwd, 'accounts') });
  const user = (args: string[], stdin?: string) => cli(['user', ...args], env(), stdin);

  test('are created, listed, given a role, disabled and enabled', async () => {
    const created = await user(
      ['create', '--email', ' Root@Example.org ', '--password-stdin', '--role', 'admin', '--name', 'Root'],
      PASSWORD,
    );
    expect(created).toMatchObject({ code: 0, stderr: '' });
    expect(created.stdout).toMatch(/^created admin root@example\.org \([0-9a-f-]{36}\)\n$/);
    expect((await user(['create', '--email', 'ada@example.org', '--password-stdin'], PASSWORD)).code).toBe(0);
    expect((await user(['role', 'ADA@example.org', 'admin'])).stdout).toBe('ada@example.org has the role admin\n');
    expect((await user(['role', 'ada@example.org', 'user'])).code).toBe(0);
    expect((await user(['disable', 'ada@example.org'])).stdout).toBe('ada@example.org is disabled\n');

    const listed = await user(['list', '--json']);
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { email: 'ada@example.org', role: 'user', disabled: true },
      { email: 'root@example.org', role: 'admin', name: 'Root', disabled: false },
    ]);
    expect(listed.stdout).not.toContain('argon2');
    expect((await user(['list'])).stdout).toMatch(/ada@example\.org +user +disabled\n/);
    expect((await user(['disable', 'ada@example.org', '--enable'])).stdout).toBe('ada@example.org is enabled\n');
  });

  test('cannot be created twice, nor without a usable password', async () => {
    const again = await user(['create', '--email', 'ROOT@example.org', '--password-stdin'], PASSWORD);
    expect([again.code, again.stderr]).toEqual([1, 'bunkhouse: An account with this e-mail address exists already.\n']);
    for (const password of ['', 'short', '1234567\n', 'x'.repeat(129)]) {
      const { code, stderr } = await user(['create', '--email', 'new@example.org', '--password-stdin'], password);
      expect([code, stderr]).toEqual([1, 'bunkhouse: the password must have 8 to 128 characters\n']);
    }
  });

  test('the last enabled admin stays', async () => {
    for (const args of [
      ['role', 'root@example.org', 'user'],
      ['disable', 'root@example.org'],
    ]) {
      const { code, stderr } = await user(args);
      expect([code, stderr]).toEqual([
        1,
        'bunkhouse: This is the only enabled admin. Give another account the role first.\n',
      ]);
    }
  });
});

describe('the database', () => {
  const env = () => ({ DATA_DIR: join(cwd, 'database') });

  test('is created and migrated once', async () => {
    const names = loadMigrations().map(({ name }) => name);
    const first = await cli(['migrate', '--json'], env());
    expect(JSON.parse(first.stdout)).toEqual({ database: 'main', applied: names });
    expect((await cli(['migrate'], env())).stdout).toBe('main: up to date\n');
    const listed = JSON.parse((await cli(['db', 'list', '--json'], env())).stdout) as {
      name: string;
      migration: string;
    }[];
    expect(listed).toMatchObject([{ name: 'main', migration: names.at(-1) as string }]);
  });

  test('that is none is refused in one line, and left as it is', async () => {
    const folder = await mkdtemp(join(cwd, 'broken-'));
    const letter = 'this is no database file, it is a letter to a friend'.repeat(100);
    await writeFile(join(folder, 'main.db'), letter);
    for (const command of [['migrate'], ['user', 'list']]) {
      const { code, stderr } = await cli(command, { DATA_DIR: folder });
      expect(code).toBe(1);
      expect(stderr).toMatch(/^bunkhouse: [^\n]+\n$/);
    }
    expect(await Bun.file(join(folder, 'main.db')).text()).toBe(letter);
    const doctor = await cli(['doctor', '--json'], { DATA_DIR: folder });
    expect(doctor.code).toBe(1);
    expect(JSON.parse(doctor.stdout)).toContainEqual({
      level: 'fault',
      subject: 'database:main',
      message: expect.any(String),
    } as never);
  });
});

describe('doctor', () => {
  const findings = async (env: Record<string, string>) => {
    const { code, stdout } = await cli(['doctor', '--json'], { DATA_DIR: join(cwd, 'doctor'), ...env });
    return { code, findings: JSON.parse(stdout) as { level: string; subject: string; message: string }[] };
  };

  test('finds nothing wrong with the defaults', async () => {
    const { code, findings: found } = await findings({});
    expect(code).toBe(0);
    expect(found.map(({ level }) => level)).toEqual(found.map(() => 'ok'));
    expect(found.map(({ subject }) => subject)).toEqual(
      expect.arrayContaining(['settings', 'DATA_DIR', 'database:main']),
    );
  });

  test('looks whether the cache answers', async () => {
    const about = async (CACHE_URL: string) =>
      (await findings({ CACHE_URL })).findings.find(({ subject }) => subject === 'cache')?.level;
    expect(await about(`fs:${join(cwd, 'cache')}`)).toBe('ok');
    expect(await about('redis+unix:///nowhere.sock')).toBe('warning');
    expect(await about('s3:?bucket=x')).toBe('fault');
  });

  test('looks where backups go', async () => {
    const folder = join(cwd, 'vault');
    const about = async (env: Record<string, string>) =>
      (await findings({ BACKUP_URL: `file:${folder}`, ...env })).findings.filter(
        ({ subject }) => subject === 'backups',
      );
    expect(await about({})).toEqual([{ level: 'ok', subject: 'backups', message: 'will be created' }]);
    expect((await about({ BACKUP_URL: `file:${cwd}` })).map(({ level }) => level)).toContain('warning');
    await mkdir(join(folder, 'snapshots'), { recursive: true });
    expect(await about({})).toMatchObject([
      { level: 'ok', message: expect.stringContaining('none of the system yet') },
    ]);
    await writeFile(join(folder, 'snapshots/20261123T034500.123Z-x.json'), 'nonsense');
    await writeFile(join(folder, 'repository.json'), 'nonsense');
    const faults = (await about({})).filter(({ level }) => level === 'fault').map(({ message }) => message);
    expect(faults).toEqual([expect.stringContaining('snapshots/20261123'), expect.stringContaining('repository.json')]);
  });

  test('asks every upstream whether it is there', async () => {
    await using upstream = await startUpstream();
    const PROXY_ROUTES = `/shop=${upstream.origin},/gone=http://127.0.0.1:1`;
    const { code, findings: found } = await findings({ PROXY_ROUTES });
    const about = (subject: string) => found.find((finding) => finding.subject === subject);
    expect([code, about('upstream /shop')?.level, about('upstream /gone')?.level]).toEqual([0, 'ok', 'warning']);
  });

  test('warns of what is unsafe', async () => {
    const { code, findings: found } = await findings({
      HOST: '0.0.0.0',
      ALLOWED_HOSTS: '*',
      CORS_ORIGINS: '*',
      RATE_LIMIT: 'off',
      RATE_LIMIT_AUTH: 'off',
    });
    expect(code).toBe(0);
    const warned = found.filter(({ level }) => level === 'warning').map(({ subject }) => subject);
    expect(warned).toEqual(
      expect.arrayContaining([
        'NODE_ENV',
        'PUBLIC_URL',
        'ALLOWED_HOSTS',
        'CORS_ORIGINS',
        'RATE_LIMIT',
        'RATE_LIMIT_AUTH',
      ]),
    );
  });

  test('says what keeps PHP from running, and what to do', async () => {
    const root = join(cwd, 'site');
    await mkdir(root, { recursive: true });
    await writeFile(join(root, 'old.php5'), '');
    const { code, findings: found } = await findings({
      PHP_ROOT: root,
      PHP_MODE: 'front-controller',
      PHP_FPM: 'unix:/nowhere/fpm.sock',
    });
    const of = (subject: string) => found.filter((finding) => finding.subject === subject);
    expect(code).toBe(1);
    expect(of('PHP_FPM')).toMatchObject([{ level: 'warning', message: expect.stringContaining('socket exist') }]);
    expect(of('PHP_SCRIPT')).toMatchObject([{ level: 'fault', message: expect.stringContaining('index.php') }]);
    expect(of('PHP_ROOT')).toMatchObject([{ level: 'warning', message: expect.stringContaining('old.php5') }]);
  });
});

test('openapi prints the document and leaves nothing behind', async () => {
  const folder = await mkdtemp(join(cwd, 'openapi-'));
  const { code, stdout, stderr } = await runCli(['openapi'], { cwd: folder });
  expect([code, stderr]).toEqual([0, '']);
  expect(JSON.parse(stdout)).toMatchObject({
    openapi: expect.any(String),
    paths: { '/api/auth/login': expect.any(Object) },
  });
  expect([...new Bun.Glob('**/*').scanSync({ cwd: folder, dot: true })]).toEqual([]);
});
