import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../support/cli.ts';
import { createClient, PASSWORD, register, signIn } from '../support/client.ts';
import { freePort } from '../support/free-ports.ts';
import { logLines, writtenLog } from '../support/log-lines.ts';
import { sendRaw, statusOf } from '../support/raw.ts';
import { startServer } from '../support/server.ts';

setDefaultTimeout(30_000);

const folders: string[] = [];
const newFolder = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bunkhouse-config-'));
  folders.push(folder);
  return folder;
};
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

test('with nothing set everything lives below the data folder, closed to others', async () => {
  await using server = await startServer();
  await register(createClient(server.url), 'ada@example.org');
  const entries = [...new Bun.Glob('*').scanSync({ cwd: server.dataDir, onlyFiles: false })].sort();
  expect(entries).toEqual(expect.arrayContaining(['main.db', 'secret']));
  expect(statSync(join(server.dataDir, 'secret')).mode & 0o077).toBe(0);
});

test('a fault in the settings stops the start with 78, before anything is made', async () => {
  const cwd = await newFolder();
  const env = { PORT: 'x', SERVER_KEY: 'my-short-secret', DATA_DIR: join(cwd, 'data') };
  const { code, stdout, stderr } = await runCli(['serve'], { cwd, env });
  expect([code, stdout]).toEqual([78, '']);
  expect(stderr).toBe(
    'bunkhouse: the settings have 2 faults:\n  PORT must be a whole number from 0 to 65535\n  SERVER_KEY needs at least 32 characters\n',
  );
  expect(existsSync(join(cwd, 'data'))).toBe(false);
});

describe('the secret', () => {
  test('that was generated is kept: logins outlive a restart', async () => {
    await using server = await startServer();
    const { access_token: token } = await register(createClient(server.url), 'ada@example.org');
    await using again = await server.restart();
    expect((await createClient(again.url)('GET', '/api/auth/me', { token })).status).toBe(200);
    expect(again.output()).not.toContain(await Bun.file(join(again.dataDir, 'secret')).text());
  });

  test('changed ends every login', async () => {
    await using server = await startServer({ env: { BUNKHOUSE_SECRET: 'a'.repeat(40) } });
    expect(existsSync(join(server.dataDir, 'secret'))).toBe(false);
    const { access_token: token } = await register(createClient(server.url), 'ada@example.org');
    await using again = await server.restart({ BUNKHOUSE_SECRET: 'b'.repeat(40) });
    expect((await createClient(again.url)('GET', '/api/auth/me', { token })).status).toBe(401);
    await signIn(createClient(again.url), 'ada@example.org');
  });
});

test('ADMIN_EMAIL makes the first admin once, and never brings back what was changed', async () => {
  const env = { ADMIN_EMAIL: 'Root@example.org', ADMIN_PASSWORD: PASSWORD };
  await using server = await startServer({ env });
  const call = createClient(server.url);
  expect(server.output()).not.toContain('There is no admin yet');
  const root = await signIn(call, 'root@example.org');
  expect(root.user.role).toBe('admin');
  const json = { currentPassword: PASSWORD, newPassword: 'another password' };
  await call('POST', '/api/auth/password', { token: root.access_token, json });
  await using again = await server.restart();
  const there = createClient(again.url);
  expect(
    (await there('POST', '/api/auth/login', { json: { email: 'root@example.org', password: PASSWORD } })).status,
  ).toBe(401);
  const { access_token: token } = await signIn(there, 'root@example.org', 'another password');
  expect((await there('GET', '/api/users', { token })).json['items']).toHaveLength(1);
  expect(again.output()).not.toContain(PASSWORD);
});

test('PUBLIC_URL and ALLOWED_HOSTS are the hosts that are answered for', async () => {
  const port = await freePort();
  const PUBLIC_URL = 'https://house.example:8443/';
  await using server = await startServer({
    env: { PORT: String(port), PUBLIC_URL, ALLOWED_HOSTS: 'other.example', FLY_APP_NAME: 'my-house' },
  });
  expect(server.url).toBe('https://house.example:8443');
  const statusFor = async (host: string) =>
    statusOf(
      await sendRaw(
        `http://127.0.0.1:${port}`,
        `GET /api/auth/me HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      ),
    );
  for (const host of ['house.example:8443', 'house.example', 'other.example', 'my-house.fly.dev', 'localhost']) {
    expect(await statusFor(host), host).toBe(401);
  }
  for (const host of ['evil.example', 'other-house.fly.dev', 'fly.dev']) expect(await statusFor(host), host).toBe(421);
});

test('METRICS_PORT serves the metrics on a listener of its own, and nothing else', async () => {
  const port = await freePort();
  await using server = await startServer({ env: { METRICS_PORT: String(port) } });
  expect((await createClient(server.url)('GET', '/metrics')).status).toBe(401);
  const own = createClient(`http://127.0.0.1:${port}`);
  const answer = await own('GET', '/metrics');
  expect(answer.text).toContain('bunkhouse_uptime_seconds ');
  for (const path of ['/', '/api/auth/me', '/health/ready', '/metrics/x'])
    expect((await own('GET', path)).status, path).toBe(404);
});

test('production behind a trusted proxy sends HSTS where the client used TLS', async () => {
  await using server = await startServer({
    env: { NODE_ENV: 'production', BUNKHOUSE_SECRET: 's'.repeat(40), TRUST_PROXY: '127.0.0.0/8' },
  });
  const call = createClient(server.url);
  const hsts = async (headers: Record<string, string>) =>
    (await call('GET', '/api/auth/me', { headers })).headers.get('strict-transport-security');
  expect(await hsts({ 'x-forwarded-proto': 'https' })).toContain('max-age=');
  expect(await hsts({})).toBeNull();
});

test('TLS_CERT and TLS_KEY serve HTTPS without a proxy', async () => {
  const folder = await newFolder();
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const made = Bun.spawnSync([
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '1',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-keyout',
    key,
    '-out',
    cert,
  ]);
  expect(made.exitCode).toBe(0);
  await using server = await startServer({
    env: { TLS_CERT: cert, TLS_KEY: key, NODE_ENV: 'production', BUNKHOUSE_SECRET: 's'.repeat(40) },
  });
  expect(server.url).toStartWith('https://');
  const answer = await fetch(`${server.url}/api/auth/me`, { tls: { ca: await Bun.file(cert).text() } });
  expect(answer.status).toBe(401);
  expect(answer.headers.get('strict-transport-security')).toContain('max-age=');
  expect((await fetch(`${server.url}/health/live`, { tls: { ca: await Bun.file(cert).text() } })).status).toBe(200);
});

test('DATABASE_URL and STORAGE_URL move what they name', async () => {
  const folder = await newFolder();
  await using server = await startServer({
    env: { DATABASE_URL: `file:${join(folder, 'db', 'house.db')}`, STORAGE_URL: `file:${join(folder, 'bytes')}` },
  });
  const call = createClient(server.url);
  const { access_token: token } = await register(call, 'ada@example.org');
  expect((await call('PUT', '/api/files/by-name/a.txt', { token, body: 'bytes' })).status).toBe(201);
  expect(existsSync(join(folder, 'db', 'house.db'))).toBe(true);
  expect([...new Bun.Glob('**/*').scanSync(join(folder, 'bytes'))].length).toBeGreaterThan(0);
  expect(existsSync(join(server.dataDir, 'main.db'))).toBe(false);
  expect(existsSync(join(server.dataDir, 'objects'))).toBe(false);
});

test('LOG_LEVEL=silent leaves the URL alone on standard output', async () => {
  await using server = await startServer({
    env: { LOG_LEVEL: 'silent', ADMIN_EMAIL: 'a@example.org', ADMIN_PASSWORD: PASSWORD },
  });
  await createClient(server.url)('GET', '/api/auth/me');
  expect(await server.stop()).toBe(0);
  expect(server.output()).toBe(`Bunkhouse is running at ${server.url}\n`);
});

test('settings that have no effect yet are warned of, by name only', async () => {
  const planned = (
    JSON.parse((await runCli(['config', '--json'], { cwd: tmpdir() })).stdout) as { name: string; isPlanned: boolean }[]
  )
    .filter(({ isPlanned }) => isPlanned)
    .map(({ name }) => name);
  if (!planned.includes('SMTP_URL')) return;
  await using server = await startServer({ env: { SMTP_URL: 'smtp://user:hunter2@mail.example' } });
  const output = await writtenLog(server);
  expect(logLines(output, 'warn')).toContainEqual(expect.objectContaining({ settings: ['SMTP_URL'] }));
  expect(output).not.toContain('hunter2');
});

test('.env in the working directory is read', async () => {
  const dataDir = await newFolder();
  await writeFile(join(dataDir, '.env'), 'BODY_MAX_SIZE=100B\n');
  await using server = await startServer({ dataDir });
  const json = { email: 'a@example.org', password: 'x'.repeat(200) };
  expect((await createClient(server.url)('POST', '/api/auth/login', { json })).status).toBe(413);
});
