import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { runCli } from '../support/cli.ts';
import { createClient, PASSWORD, register, signIn } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { findLosses, startLoad } from '../support/load.ts';
import { s3Settings } from '../support/s3-settings.ts';
import { startS3Stub } from '../support/s3-stub.ts';
import { startServer } from '../support/server.ts';

setDefaultTimeout(120_000);

/** A place for one test: backups, and machines that come and go. */
async function openPlace() {
  const root = await mkdtemp(join(tmpdir(), 'bunkhouse-disaster-'));
  const repository = join(root, 'repository');
  return {
    root,
    repository,
    env: { BACKUP_URL: `file:${repository}`, BACKUP_SCHEDULE: 'off' },
    async machine(name: string): Promise<string> {
      const path = join(root, name);
      await mkdir(path);
      return path;
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

/** Runs a command on backups that must succeed. */
async function backup(cwd: string, env: Record<string, string>, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(['backup', ...args], { cwd, env: { DATA_DIR: cwd, ...env } });
  expect([args, code, stderr.split('\n').filter((line) => line.startsWith('bunkhouse:'))]).toEqual([args, 0, []]);
  return stdout;
}

interface Mode {
  readonly name: string;
  readonly isEncrypted: boolean;
  /** Of the machine that is backed up, and of the empty one. */
  settings(place: Awaited<ReturnType<typeof openPlace>>): Promise<{
    readonly server: Record<string, string>;
    readonly restore: Record<string, string>;
    readonly args: readonly string[];
    stop?(): Promise<void>;
  }>;
}

const MODES: readonly Mode[] = [
  { name: 'not encrypted', isEncrypted: false, settings: async () => ({ server: {}, restore: {}, args: [] }) },
  {
    name: 'with a passphrase',
    isEncrypted: true,
    async settings() {
      const env = { BACKUP_PASSPHRASE: 'a passphrase that is long' };
      return { server: env, restore: env, args: [] };
    },
  },
  {
    name: 'to a recipient, with the identity',
    isEncrypted: true,
    async settings({ root, env }) {
      const identity = join(root, 'identity.txt');
      const made = JSON.parse(await backup(root, env, 'key', 'new', '--to', identity, '--json'));
      const server = { BACKUP_RECIPIENT: made.recipient as string };
      await backup(root, { ...env, ...server }, 'key', 'prove', '--identity', identity);
      return { server, restore: {}, args: ['--identity', identity] };
    },
  },
  {
    name: 'in a bucket',
    isEncrypted: false,
    async settings() {
      const stub = await startS3Stub({ refusesChecksums: true });
      const { STORAGE_URL: _, ...credentials } = s3Settings(stub);
      const env = { ...credentials, BACKUP_URL: `s3://${stub.options.bucket}/backups` };
      return { server: env, restore: env, args: [], stop: () => stub.stop() };
    },
  },
];

describe('a server that is killed under load and whose data is deleted comes back by one command', () => {
  test.each(MODES)('$name', async (mode) => {
    await using here = await openPlace();
    const { server: more, restore, args, stop } = await mode.settings(here);
    try {
      const server = await startServer({ env: { ...here.env, ...more } });
      const load = await startLoad(server.url, 'load');
      await load.reached(40);
      const before = load.snapshot();
      await backup(server.dataDir, { ...here.env, ...more }, 'create');
      const after = load.snapshot();
      const { items } = JSON.parse(await backup(server.dataDir, { ...here.env, ...more }, 'list', '--json'));
      expect(items).toMatchObject([{ scope: 'system', isEncrypted: mode.isEncrypted }]);
      await load.reached(60);
      await server.kill();
      await load.stop();
      await rm(server.dataDir, { recursive: true });

      const empty = await here.machine('empty');
      await backup(empty, { ...here.env, ...restore }, 'restore', 'latest', ...args);
      await using again = await startServer({ dataDir: empty, env: { ...here.env, ...restore } });
      // A file that was deleted while the backup was taken may be in it or not.
      const deletedSince = new Set([...before.files.keys()].filter((id) => !after.files.has(id)));
      expect(before.files.size - deletedSince.size).toBeGreaterThan(20);
      expect(await findLosses(again.url, before, deletedSince)).toEqual([]);
      // The checker sees a loss.
      const [id] = [...before.files.keys()].filter((each) => !deletedSince.has(each));
      const { owner } = before.files.get(id as string) ?? { owner: '' };
      const token = before.accounts.get(owner)?.access_token as string;
      await createClient(again.url)('DELETE', `/api/files/${id}`, { token });
      expect(await findLosses(again.url, before, deletedSince)).not.toEqual([]);
      // What the backup knows of passwords is right too.
      await signIn(createClient(again.url), owner);
    } finally {
      await stop?.();
    }
  });
});

test('a restore while the server runs waits for the next start, and keeps what was there', async () => {
  await using here = await openPlace();
  const server = await startServer({ env: here.env });
  const call = createClient(server.url);
  const { access_token: token } = await register(call, 'ada@example.org');
  const put = async (name: string, body: string) =>
    String((await call('PUT', `/api/files/by-name/${name}`, { token, body })).json['id']);
  const deleted = await put('deleted.txt', 'deleted after the backup');
  await put('changed.txt', 'as it was');
  await backup(server.dataDir, here.env, 'create', '--note', 'in time');
  await call('DELETE', `/api/files/${deleted}`, { token });
  await put('changed.txt', 'as it is');
  const objects = () => [...new Bun.Glob('objects/??/*').scanSync({ cwd: server.dataDir })];
  await eventually(() => objects().length === 1);

  const plan = JSON.parse(await backup(server.dataDir, here.env, 'restore', 'latest', '--dry-run', '--json'));
  expect(plan.files).toMatchObject({ count: 2, missing: { count: 2 } });
  const refused = await runCli(['backup', 'restore', 'latest'], {
    cwd: server.dataDir,
    env: { DATA_DIR: server.dataDir, ...here.env },
  });
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('--yes')]);
  await backup(server.dataDir, here.env, 'restore', 'latest', '--yes');

  // The server goes on with what it has, and deletes nothing that the restored state needs.
  expect((await call('GET', `/api/files/${deleted}`, { token })).status).toBe(404);
  const later = await put('later.txt', 'came after the restore was made ready');
  await call('DELETE', `/api/files/${later}`, { token });

  await using again = await server.restart();
  const restored = createClient(again.url);
  expect((await restored('GET', `/api/files/${deleted}/content`, { token })).text).toBe('deleted after the backup');
  const list = (await restored('GET', '/api/files', { token })).json['items'] as { name: string; id: string }[];
  expect(list.map(({ name }) => name)).toEqual(['changed.txt', 'deleted.txt']);
  expect((await restored('GET', `/api/files/${list[0]?.id}/content`, { token })).text).toBe('as it was');
  expect((await restored('GET', '/health/ready')).status).toBe(200);
  const kept = readdirSync(again.dataDir).filter((name) => name.startsWith('pre-restore-'));
  expect(kept.length).toBe(1);
  expect(existsSync(join(again.dataDir, kept[0] as string, 'main.db'))).toBe(true);
});

test('files of one user come back into the system as it is', async () => {
  await using here = await openPlace();
  await using server = await startServer({ env: here.env });
  const call = createClient(server.url);
  const { access_token: ada } = await register(call, 'ada@example.org');
  const { access_token: bob } = await register(call, 'bob@example.org');
  const put = async (token: string, name: string, body: string) =>
    String((await call('PUT', `/api/files/by-name/${name}`, { token, body })).json['id']);
  const [first, second] = [await put(ada, 'first.txt', 'first'), await put(ada, 'second.txt', 'second')];
  const other = await put(bob, 'bob.txt', 'old');
  await backup(server.dataDir, here.env, 'create');
  for (const id of [first, second]) await call('DELETE', `/api/files/${id}`, { token: ada });
  await put(bob, 'bob.txt', 'new');

  await backup(server.dataDir, here.env, 'restore', 'latest', '--file', first);
  expect((await call('GET', `/api/files/${first}/content`, { token: ada })).text).toBe('first');
  expect((await call('GET', `/api/files/${second}`, { token: ada })).status).toBe(404);
  const answer = await backup(server.dataDir, here.env, 'restore', 'latest', '--user', 'ada@example.org', '--json');
  expect(JSON.parse(answer)).toMatchObject({ made: 1, present: 1, replaced: 0, lost: [] });
  expect((await call('GET', `/api/files/${second}/content`, { token: ada })).text).toBe('second');
  expect((await call('GET', `/api/files/${other}/content`, { token: bob })).text).toBe('new');
  const stranger = await runCli(['backup', 'restore', 'latest', '--user', 'eve@example.org'], {
    cwd: server.dataDir,
    env: { DATA_DIR: server.dataDir, ...here.env },
  });
  expect([stranger.code, stranger.stderr]).toEqual([1, expect.stringContaining('no account')]);
});

test('a database and a data folder can be restored beside what is there', async () => {
  await using here = await openPlace();
  await using server = await startServer({ env: { ...here.env, DATABASE_SHOP_URL: `file:${here.root}/shop.db` } });
  const { access_token: token } = await register(createClient(server.url), 'ada@example.org');
  await createClient(server.url)('PUT', '/api/files/by-name/a.txt', { token, body: 'a' });
  await backup(server.dataDir, { ...here.env, DATABASE_SHOP_URL: `file:${here.root}/shop.db` }, 'create');
  const file = join(here.root, 'out.sqlite');
  await backup(here.root, here.env, 'restore', 'latest', '--database', 'main', '--to', file);
  const sql = Bun.spawnSync([
    'sqlite3',
    file,
    'PRAGMA integrity_check; SELECT email FROM users; SELECT name FROM files;',
  ]);
  expect(sql.stdout.toString()).toBe('ok\nada@example.org\na.txt\n');

  const folder = join(here.root, 'folder');
  const notes = await backup(here.root, here.env, 'restore', 'latest', '--to', folder);
  expect(notes).toContain('DATABASE_SHOP_URL=');
  expect(readdirSync(folder).sort()).toEqual(['main.db', 'objects', 'secret', 'shop.db']);
  await using copy = await startServer({ dataDir: folder, env: { BACKUP_SCHEDULE: 'off' } });
  expect((await createClient(copy.url)('GET', '/api/auth/me', { token })).status).toBe(200);
  const again = await runCli(['backup', 'restore', 'latest', '--to', folder], { cwd: here.root, env: here.env });
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('not empty')]);
});

test('a secret that was set by hand is nowhere in the repository, and the restore says that it is needed', async () => {
  await using here = await openPlace();
  const BUNKHOUSE_SECRET = 'set-by-hand-and-known-to-its-operator-alone';
  const server = await startServer({ env: { ...here.env, BUNKHOUSE_SECRET } });
  const { access_token: token } = await register(createClient(server.url), 'ada@example.org');
  await backup(server.dataDir, { ...here.env, BUNKHOUSE_SECRET }, 'create');
  await server.kill();
  await rm(server.dataDir, { recursive: true });
  let objects = 0;
  for (const name of new Bun.Glob('**/*').scanSync({ cwd: here.repository })) {
    const bytes = readFileSync(join(here.repository, name));
    const plain = name.endsWith('.zst') ? zstdDecompressSync(bytes) : bytes;
    expect([name, plain.includes(BUNKHOUSE_SECRET)]).toEqual([name, false]);
    objects++;
  }
  expect(objects).toBeGreaterThan(3);
  const empty = await here.machine('empty');
  expect(await backup(empty, here.env, 'restore', 'latest')).toContain('BUNKHOUSE_SECRET was set by hand');
  await using again = await startServer({ dataDir: empty, env: { ...here.env, BUNKHOUSE_SECRET } });
  expect((await createClient(again.url)('GET', '/api/auth/me', { token })).status).toBe(200);
});

test('every login of the time of the backup ends when that is wished for', async () => {
  await using here = await openPlace();
  const server = await startServer({ env: here.env });
  const { access_token: token } = await register(createClient(server.url), 'ada@example.org');
  await backup(server.dataDir, here.env, 'create');
  await server.kill();
  await rm(server.dataDir, { recursive: true });
  const empty = await here.machine('empty');
  await backup(empty, here.env, 'restore', 'latest', '--end-sessions');
  await using again = await startServer({ dataDir: empty, env: here.env });
  const call = createClient(again.url);
  expect((await call('GET', '/api/auth/me', { token })).status).toBe(401);
  await signIn(call, 'ada@example.org', PASSWORD);
});

test('a test restore runs a server on the backup, and finds what is damaged', async () => {
  await using here = await openPlace();
  await using server = await startServer({ env: here.env });
  const { access_token: token } = await register(createClient(server.url), 'ada@example.org');
  for (const name of ['a', 'b', 'c']) {
    await createClient(server.url)('PUT', `/api/files/by-name/${name}.txt`, { token, body: `content of ${name}` });
  }
  await backup(server.dataDir, here.env, 'create');
  const verify = () =>
    runCli(['backup', 'verify', 'latest', '--test-restore', '--json'], {
      cwd: server.dataDir,
      env: { DATA_DIR: server.dataDir, ...here.env },
    });
  const good = await verify();
  expect([good.code, good.stderr]).toEqual([0, '']);
  expect(JSON.parse(good.stdout)).toMatchObject({ ok: true, restoredFiles: 3, health: 'ok', findings: [] });
  expect(readdirSync(server.dataDir).filter((name) => name.startsWith('backups-scratch'))).toEqual([]);

  const [blob] = [...new Bun.Glob('blobs/*/*').scanSync({ cwd: here.repository })];
  await writeFile(join(here.repository, blob as string), 'something else');
  const bad = await verify();
  expect(bad.code).toBe(1);
  expect(JSON.parse(bad.stdout)).toMatchObject({ ok: false, restoredFiles: 2, findings: [{ code: 'damaged' }] });
});

test('verify reads everything, lists all damage and fails; the command to forget says what it would do', async () => {
  await using here = await openPlace();
  await using server = await startServer({ env: here.env });
  const { access_token: token } = await register(createClient(server.url), 'ada@example.org');
  for (const name of ['a', 'b']) {
    await createClient(server.url)('PUT', `/api/files/by-name/${name}.txt`, { token, body: `content of ${name}` });
  }
  await backup(server.dataDir, here.env, 'create');
  const empty = await here.machine('empty');
  const run = (...args: string[]) => runCli(['backup', ...args, '--json'], { cwd: empty, env: here.env });
  for (const level of ['--quick', '--share', '--full']) {
    const { code, stdout } = await run('verify', 'latest', level);
    expect([level, code, JSON.parse(stdout).findings]).toEqual([level, 0, []]);
  }
  const kept = JSON.parse((await run('prune', '--dry-run')).stdout);
  expect(kept).toMatchObject({ isDryRun: true, forget: [], keep: [{ scope: 'system' }] });

  const [first, second] = [...new Bun.Glob('blobs/*/*').scanSync({ cwd: here.repository })] as [string, string];
  await rm(join(here.repository, first));
  const bytes = readFileSync(join(here.repository, second));
  bytes[bytes.length - 3] = (bytes.at(-3) as number) ^ 1;
  await writeFile(join(here.repository, second), bytes);
  const bad = await run('verify', 'latest');
  expect(bad.code).toBe(1);
  const { findings } = JSON.parse(bad.stdout) as { findings: { code: string; key: string }[] };
  expect(findings.map(({ code, key }) => [code, key]).sort()).toEqual([
    ['damaged', second],
    ['missing', first],
  ]);
  const refused = await run('restore', 'latest');
  expect([refused.code, existsSync(join(empty, 'data', 'main.db'))]).toEqual([1, false]);
  expect(refused.stderr).toContain('2 files cannot be given back');

  // A manifest whose text has changed is no backup any more, and is named.
  const [manifest] = readdirSync(join(here.repository, 'snapshots')) as [string];
  const path = join(here.repository, 'snapshots', manifest);
  await writeFile(path, readFileSync(path, 'utf8').replace('"note": ""', '"note": "x"'));
  const list = await run('list');
  expect(list.code).toBe(1);
  expect(JSON.parse(list.stdout)).toMatchObject({ items: [], broken: [{ key: `snapshots/${manifest}` }] });
});

test.each(['', 'a key of some length'])(
  'with libSQL (key: %p) nothing is restored beside a running server',
  async (key) => {
    await using here = await openPlace();
    const engine = { DATABASE_ENGINE: 'libsql', ...(key === '' ? {} : { DATABASE_ENCRYPTION_KEY: key }) };
    const env = { ...here.env, ...engine };
    await using server = await startServer({ env });
    await register(createClient(server.url), 'ada@example.org');
    const { dataDir } = server;
    await server.stop();
    await backup(dataDir, env, 'create');
    const run = () =>
      runCli(['backup', 'restore', 'latest', '--yes'], { cwd: dataDir, env: { DATA_DIR: dataDir, ...env } });
    const running = await startServer({ dataDir, env });
    const { code, stderr } = await run();
    await running.stop();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^bunkhouse: [^\n]*stop the server first\n$/);
    expect(existsSync(join(dataDir, 'restore.pending.json'))).toBe(false);
    expect((await run()).code).toBe(0);
    await using again = await startServer({ dataDir, env });
    await signIn(createClient(again.url), 'ada@example.org');
  },
);

test('where there is no backup, commands say so in one line', async () => {
  await using here = await openPlace();
  for (const args of [
    ['restore', 'latest'],
    ['show', 'latest'],
    ['verify', 'latest'],
    ['restore', 'latest', '--yes'],
  ]) {
    const { code, stderr } = await runCli(['backup', ...args], { cwd: here.root, env: here.env });
    expect([args, code]).toEqual([args, 1]);
    expect(stderr).toMatch(/^bunkhouse: there is no backup at [^\n]+\n$/);
  }
});
