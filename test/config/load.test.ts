import { describe, expect, test } from 'bun:test';
import { describeConfig, describeSecrets, findPlannedSettings } from '../../src/config/describe.ts';
import { type Config, ConfigError, loadConfig } from '../../src/config/load.ts';
import { SETTINGS } from '../../src/config/schema.ts';
import type { Setting } from '../../src/config/values.ts';

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

const entries = Object.entries(SETTINGS) as [keyof Config, Setting][];

describe('without anything set', () => {
  test('the settings are usable, and are what the documentation says', () => {
    expect(loadConfig({})).toMatchObject({
      environment: 'development',
      port: 3000,
      host: '127.0.0.1',
      dataDir: './data',
      publicDir: './public',
      rateLimit: { count: 1200, windowSeconds: 60 },
      rateLimitAuth: { count: 30, windowSeconds: 60 },
      uploadMaxSize: 5 * 2 ** 30,
      userQuota: 50 * 2 ** 30,
      bodyMaxSize: 2 ** 20,
      trustProxy: ['none'],
      logLevel: 'info',
      secret: undefined,
      serverKey: undefined,
    });
  });

  test('every default can be read by its own setting', () => {
    for (const [name, { env, read, defaultText }] of entries) {
      if (defaultText !== undefined) expect(() => read(defaultText), `${name} ${env[0]}`).not.toThrow();
    }
  });

  test('every setting has a description, and no variable is used twice', () => {
    for (const [name, { description }] of entries) expect(description, name).toMatch(/^[A-Z`a].*\.$/s);
    const variables = entries.flatMap(([, { env }]) => env);
    expect(variables).toEqual([...new Set(variables)]);
    for (const variable of variables) expect(variable).toMatch(/^[A-Z][A-Z0-9_]*$/);
  });

  test('what opens doors is a secret', () => {
    const secret = entries.filter(([, { isSecret }]) => isSecret).flatMap(([, { env }]) => env);
    const named = entries
      .flatMap(([, { env }]) => env)
      .filter((name) => /SECRET|PASSWORD|PASSPHRASE|TOKEN|SERVER_KEY|ENCRYPTION_KEY/.test(name));
    expect(secret).toEqual(expect.arrayContaining(named));
  });
});

describe('a setting is read', () => {
  test.each<[string, string, keyof Config, unknown]>([
    ['PORT', '0', 'port', 0],
    ['PORT', '65535', 'port', 65_535],
    ['PORT', ' 8080 ', 'port', 8080],
    ['HOST', '0.0.0.0', 'host', '0.0.0.0'],
    ['NODE_ENV', 'staging', 'environment', 'staging'],
    ['PUBLIC_URL', 'https://house.example/', 'publicUrl', 'https://house.example/'],
    ['ALLOWED_HOSTS', 'A.example, b.example:80 ,,[::1]:3', 'allowedHosts', ['a.example', 'b.example:80', '[::1]:3']],
    ['ALLOWED_HOSTS', '*', 'allowedHosts', ['*']],
    ['SERVERS', 'auth, uploads', 'servers', ['auth', 'uploads']],
    ['RATE_LIMIT', 'off', 'rateLimit', null],
    ['RATE_LIMIT', '5/1', 'rateLimit', { count: 5, windowSeconds: 1 }],
    ['RATE_LIMIT_AUTH', 'off', 'rateLimitAuth', null],
    ['UPLOAD_MAX_SIZE', '0', 'uploadMaxSize', 0],
    ['UPLOAD_MAX_SIZE', '123', 'uploadMaxSize', 123],
    ['UPLOAD_MAX_SIZE', '512KiB', 'uploadMaxSize', 512 * 1024],
    ['UPLOAD_MAX_SIZE', '16 mib', 'uploadMaxSize', 16 * 2 ** 20],
    ['UPLOAD_MAX_SIZE', '2TiB', 'uploadMaxSize', 2 * 2 ** 40],
    ['TRUST_PROXY', 'fly', 'trustProxy', ['fly']],
    [
      'CORS_ORIGINS',
      'https://a.example,http://b.example:81',
      'corsOrigins',
      ['https://a.example', 'http://b.example:81'],
    ],
    ['CORS_ORIGINS', '*', 'corsOrigins', ['*']],
    ['LOG_LEVEL', 'silent', 'logLevel', 'silent'],
    ['METRICS_PORT', '9100', 'metricsPort', 9100],
    ['SERVER_KEY', 'k'.repeat(32), 'serverKey', 'k'.repeat(32)],
  ])('%s=%s', (variable, text, name, value) => {
    const config = loadConfig({ [variable]: text });
    expect(config[name]).toEqual(value as never);
    expect([...config.given]).toEqual([variable]);
  });

  test.each(entries.map(([name, { env }]) => [env[0], name] as const))(
    '%s as an empty string is unset',
    (variable, name) => {
      const [plain, empty] = [loadConfig({}), loadConfig({ [variable]: '' })];
      expect(empty[name]).toEqual(plain[name] as never);
      expect(empty.given.size).toBe(0);
      expect(loadConfig({ [variable]: '   ' }).given.size).toBe(0);
    },
  );

  test('TRUST_PROXY as ranges', () => {
    expect(loadConfig({ TRUST_PROXY: '10.0.0.0/8, fd00::/8,192.0.2.1' }).trustProxy).toHaveLength(3);
  });
});

describe('a bad value is refused', () => {
  test.each<[string, string]>([
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '3000.5'],
    ['PORT', '0x10'],
    ['PORT', '3e3'],
    ['PORT', 'http'],
    ['NODE_ENV', 'Production'],
    ['PUBLIC_URL', 'house.example'],
    ['PUBLIC_URL', 'ftp://house.example'],
    ['PUBLIC_URL', 'javascript:alert(1)'],
    ['PUBLIC_URL', 'http://a'],
    ['ALLOWED_HOSTS', 'a'],
    ['ALLOWED_HOSTS', 'abc'],
    ['ALLOWED_HOSTS', 'good.example,http://bad.example'],
    ['ALLOWED_HOSTS', 'bad.example/path'],
    ['ALLOWED_HOSTS', '*.example.org'],
    ['BUNKHOUSE_SECRET', 'x'.repeat(31)],
    ['SERVER_KEY', 'x'.repeat(31)],
    ['ADMIN_PASSWORD', 'x'.repeat(7)],
    ['METRICS_TOKEN', 'x'.repeat(15)],
    ['SERVERS', 'auth,kitchen'],
    ['SERVERS', '__proto__'],
    ['RATE_LIMIT', '100'],
    ['RATE_LIMIT', '0/60'],
    ['RATE_LIMIT', '100/0'],
    ['RATE_LIMIT', '1.5/60'],
    ['RATE_LIMIT', '-5/60'],
    ['RATE_LIMIT', 'on'],
    ['UPLOAD_MAX_SIZE', '5GB'],
    ['UPLOAD_MAX_SIZE', '-1'],
    ['UPLOAD_MAX_SIZE', '1.5GiB'],
    ['UPLOAD_MAX_SIZE', '99999999TiB'],
    ['UPLOAD_MAX_SIZE', 'GiB'],
    ['TRUST_PROXY', 'all'],
    ['TRUST_PROXY', '10.0.0.0/33'],
    ['TRUST_PROXY', 'none,10.0.0.0/8'],
    ['TRUST_PROXY', 'fly,none'],
    ['CORS_ORIGINS', 'page.example'],
    ['CORS_ORIGINS', 'https://page.example/path'],
    ['CORS_ORIGINS', 'null'],
    ['LOG_LEVEL', 'verbose'],
    ['DATA_DIR', 'a\0b'],
    ['DATABASE_URL', 'postgres://db'],
    ['DATABASE_URL', 'file:'],
    ['DATABASE_URL', '/var/db'],
    ['DATABASE_ENGINE', 'mysql'],
    ['STORAGE_URL', 'ftp://x'],
    ['STORAGE_URL', 'file:'],
    ['STORAGE_URL', 's3:bucket'],
    ['STORAGE_URL', 's3://key:secret@bucket'],
    ['STORAGE_URL', 's3://bucket/a prefix'],
    ['STORAGE_URL', 's3://bucket/a/../b'],
    ['STORAGE_URL', 's3://bucket/a//b'],
    ['BUCKET_NAME', 'no bucket'],
    ['AWS_ENDPOINT_URL_S3', 's3.example'],
    ['AWS_ACCESS_KEY_ID', 'alone-it-is-of-no-use'],
  ])('%s=%s, naming the variable and not the value', (variable, text) => {
    const faults = faultsOf({
      [variable]: text,
      ...(variable === 'ADMIN_PASSWORD' ? { ADMIN_EMAIL: 'a@example.org' } : {}),
    });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toStartWith(variable);
    if (text.length > 7) expect(faults[0]).not.toContain(text);
  });

  test('all faults are told at once, one a line, and no value of any', () => {
    const env = {
      PORT: 'my-secret-port',
      BUNKHOUSE_SECRET: 'my-secret-secret',
      RATE_LIMIT: 'my-secret-rate',
      TRUST_PROXY: 'my-secret-proxy',
      UPLOAD_MAX_SIZE: 'my-secret-size',
      DATABASE_URL: 'my-secret-database',
    };
    let message = '';
    try {
      loadConfig(env);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message.split('\n')).toHaveLength(7);
    for (const variable of Object.keys(env)) expect(message).toContain(`  ${variable} `);
    expect(message).not.toContain('my-secret');
    expect(message).toStartWith('the settings have 6 faults:');
  });
});

describe('settings that belong together', () => {
  const SECRET = 's'.repeat(32);
  test.each<[Record<string, string>, string | null]>([
    [{ NODE_ENV: 'production' }, 'BUNKHOUSE_SECRET'],
    [{ NODE_ENV: 'production', BUNKHOUSE_SECRET: SECRET }, null],
    [{ NODE_ENV: 'staging' }, null],
    [{ TLS_CERT: 'cert.pem' }, 'TLS_CERT and TLS_KEY'],
    [{ TLS_KEY: 'key.pem' }, 'TLS_CERT and TLS_KEY'],
    [{ TLS_CERT: 'cert.pem', TLS_KEY: 'key.pem' }, null],
    [{ ADMIN_EMAIL: 'a@example.org' }, 'ADMIN_EMAIL and ADMIN_PASSWORD'],
    [{ ADMIN_PASSWORD: 'long enough' }, 'ADMIN_EMAIL and ADMIN_PASSWORD'],
    [{ ADMIN_EMAIL: 'a@example.org', ADMIN_PASSWORD: 'long enough' }, null],
  ])('%j', (env, fault) => {
    const faults = faultsOf(env);
    if (fault === null) expect(faults).toEqual([]);
    else expect(faults.join()).toContain(fault);
  });
});

describe('databases', () => {
  const databasesOf = (env: Record<string, string>) => loadConfig(env).databases;
  const main = { kind: 'file', name: 'main', path: null, engine: 'sqlite', encryptionKey: undefined };

  test('there is always a main one', () => {
    expect(databasesOf({})).toEqual([main] as never);
    expect(databasesOf({ DATABASE_URL: 'file:/var/x.db' })).toEqual([{ ...main, path: '/var/x.db' }] as never);
    expect(databasesOf({ DATABASE_URL: 'file:///var/x.db' })).toEqual([{ ...main, path: '/var/x.db' }] as never);
    expect(databasesOf({ DATABASE_URL: ':memory:' })).toEqual([{ kind: 'memory', name: 'main' }]);
  });

  test('others are named by their variables', () => {
    const names = databasesOf({ DATABASE_LOGS_URL: ':memory:', DATABASE_BIG_DATA_URL: 'file:big.db' }).map(
      ({ name }) => name,
    );
    expect(names).toEqual(['main', 'big_data', 'logs']);
  });

  test('the names that Turso writes count, ours win', () => {
    const env = { TURSO_DATABASE_URL: 'libsql://a.example', TURSO_AUTH_TOKEN: 'token' };
    expect(databasesOf(env)[0]).toMatchObject({ kind: 'remote', url: 'libsql://a.example', authToken: 'token' });
    expect(databasesOf({ TURSO_DATABASE_URL: 'libsql://a.example', DATABASE_URL: ':memory:' })[0]?.kind).toBe('memory');
  });

  test.each<[Record<string, string>, string]>([
    [{ DATABASE_LOGS_ENGINE: 'sqlite' }, 'DATABASE_LOGS_URL is missing'],
    [{ DATABASE_MAIN_URL: ':memory:' }, 'DATABASE_MAIN_URL'],
    [{ DATABASE_LOGS_URL: 'nonsense' }, 'DATABASE_LOGS_URL'],
    [{ DATABASE_AUTH_TOKEN: 'secret-token' }, 'DATABASE_AUTH_TOKEN'],
    [{ DATABASE_REPLICA_PATH: 'x.db' }, 'DATABASE_REPLICA_PATH'],
    [{ DATABASE_ENCRYPTION_KEY: 'secret-key' }, 'DATABASE_ENCRYPTION_KEY'],
    [{ DATABASE_URL: 'https://db.example', DATABASE_ENGINE: 'sqlite' }, 'DATABASE_ENGINE'],
  ])('%j is refused', (env, fault) => {
    const faults = faultsOf(env).join('\n');
    expect(faults).toContain(fault);
    expect(faults).not.toContain('secret-');
  });
});

describe('showing the settings', () => {
  const secrets = {
    BUNKHOUSE_SECRET: 'the-secret-value-0123456789-0123456789',
    SERVER_KEY: 'the-server-key-value-0123456789-012345',
    ADMIN_EMAIL: 'root@example.org',
    ADMIN_PASSWORD: 'the-admin-password',
    METRICS_TOKEN: 'the-metrics-token-value',
    REDIS_URL: 'redis://:the-redis-password@redis.example',
    SMTP_URL: 'smtp://user:the-smtp-password@mail.example',
    BACKUP_PASSPHRASE: 'the-backup-passphrase',
    DATABASE_URL: 'libsql://user:the-database-password@db.example?authToken=the-database-token',
    DATABASE_AUTH_TOKEN: 'the-database-auth-token',
    CACHE_URL: 'redis://user:the-cache-password@cache.example',
  };

  test('every setting is there once, in the order of the schema, secrets masked', () => {
    const described = describeConfig(loadConfig(secrets));
    expect(described).toHaveLength(entries.length);
    const text = JSON.stringify(described);
    for (const hidden of text.matchAll(/the-[a-z]+(-[a-z0-9]+)*/g)) expect(hidden[0], 'shown').toBe('');
    const find = (name: string) => described.find((setting) => setting.name === name);
    expect(find('SERVER_KEY')).toEqual({
      name: 'SERVER_KEY',
      value: '********',
      source: 'environment',
      isPlanned: false,
    });
    expect(find('ADMIN_EMAIL')?.value).toBe('root@example.org');
    expect(find('CACHE_URL')?.value).toBe('redis://********@cache.example');
    expect(find('PORT')).toEqual({ name: 'PORT', value: 3000, source: 'default', isPlanned: false });
    expect(find('TRUST_PROXY')?.value).toBe('none');
    expect(find('RATE_LIMIT')?.value).toBe('1200/60');
  });

  test('values read as they were written', () => {
    const described = describeConfig(
      loadConfig({ TRUST_PROXY: '10.0.0.0/8,fd00::/8', RATE_LIMIT: 'off', ALLOWED_HOSTS: 'a.example,b.example' }),
    );
    const shown = Object.fromEntries(described.map(({ name, value }) => [name, value]));
    expect(shown).toMatchObject({
      TRUST_PROXY: '10.0.0.0/8,fd00::/8',
      RATE_LIMIT: null,
      ALLOWED_HOSTS: 'a.example,b.example',
    });
  });

  test('the log is told every secret in force, the generated one among them', () => {
    const { secrets: known, redactedFields } = describeSecrets(loadConfig(secrets), 'generated');
    expect(known).toEqual(
      expect.arrayContaining(['generated', secrets.SERVER_KEY, secrets.ADMIN_PASSWORD, secrets.DATABASE_AUTH_TOKEN]),
    );
    expect(redactedFields).toEqual(
      expect.arrayContaining(['password', 'token', 'authorization', 'cookie', 'refresh_token']),
    );
  });

  test('settings that nothing obeys yet are named when they are given', () => {
    const planned = entries.filter(([, { isPlanned }]) => isPlanned).map(([, { env }]) => env[0]);
    expect(findPlannedSettings(loadConfig({}))).toEqual([]);
    if (planned.includes('LOG_DIR'))
      expect(findPlannedSettings(loadConfig({ LOG_DIR: './logs', PORT: '1' }))).toEqual(['LOG_DIR']);
  });
});
