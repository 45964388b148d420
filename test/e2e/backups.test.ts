import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupAnswer } from '../modules/backups/house.ts';
import type { FileAnswer } from '../modules/uploads/support.ts';
import { type Call, createClient, register } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { startServer } from '../support/server.ts';

const ADMIN = { ADMIN_EMAIL: 'root@example.org', ADMIN_PASSWORD: 'a password for the admin' };

async function upload(call: Call, token: string, name: string, content: string): Promise<FileAnswer> {
  return (await call('PUT', `/api/files/by-name/${name}`, { token, body: content })).json as unknown as FileAnswer;
}

async function signInAsAdmin(call: Call): Promise<string> {
  const json = { email: ADMIN.ADMIN_EMAIL, password: ADMIN.ADMIN_PASSWORD };
  return (await call('POST', '/api/auth/login', { json })).json['access_token'] as string;
}

/** Asks for work on backups and waits for its end. */
async function work(call: Call, token: string, path: string, json: unknown): Promise<BackupAnswer> {
  const answer = await call('POST', `/api/backups${path}`, { token, json });
  expect([answer.status, answer.text]).toEqual([202, answer.text]);
  const { id } = answer.json as unknown as BackupAnswer;
  let backup = answer.json as unknown as BackupAnswer;
  await eventually(async () => {
    backup = (await call('GET', `/api/backups/${id}`, { token })).json as unknown as BackupAnswer;
    return backup.status === 'done' || backup.status === 'failed';
  }, 60_000);
  return backup;
}

/** A server whose backups lie beside its data. */
async function startWithRepository(env: Record<string, string> = {}) {
  const repository = await mkdtemp(join(tmpdir(), 'bunkhouse-repository-'));
  const server = await startServer({ env: { ...ADMIN, BACKUP_URL: `file:${repository}`, ...env } });
  return { server, repository };
}

test('a user takes their data home, brings it to another server, and gets lost files back', async () => {
  const { server, repository } = await startWithRepository();
  await using here = server;
  const call = createClient(here.url);
  const { access_token: token } = await register(call, 'ann@example.org');
  const lost = await upload(call, token, 'lost.txt', 'to be deleted');
  const kept = await upload(call, token, 'kept.txt', 'old');
  const { access_token: stranger } = await register(call, 'bob@example.org');
  await upload(call, stranger, 'bob.txt', 'not Ann’s');

  const backup = await work(call, token, '', { scope: 'user', note: 'before the cleaning' });
  expect(backup).toMatchObject({ status: 'done', fileCount: 2, isKept: true });
  await call('DELETE', `/api/files/${lost.id}`, { token });
  await upload(call, token, 'kept.txt', 'new');
  expect(await work(call, token, `/${backup.id}/restore`, { files: [lost.id] })).toMatchObject({ status: 'done' });
  expect((await call('GET', `/api/files/${lost.id}/content`, { token })).text).toBe('to be deleted');
  expect((await call('GET', `/api/files/${kept.id}/content`, { token })).text).toBe('new');
  await work(call, token, `/${backup.id}/restore`, {});
  expect((await call('GET', `/api/files/${kept.id}/content`, { token })).text).toBe('old');
  const { items } = (await call('GET', '/api/files', { token })).json as { items: FileAnswer[] };
  const copy = items.find(({ id }) => id !== kept.id && id !== lost.id) as FileAnswer;
  expect((await call('GET', `/api/files/${copy.id}/content`, { token })).text).toBe('new');

  const download = await fetch(`${here.url}/api/backups/${backup.id}/download`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const tar = new Uint8Array(await download.arrayBuffer());
  expect((await call('GET', `/api/backups/${backup.id}/download`, { token: stranger })).status).toBe(404);

  const other = await startWithRepository();
  await using there = other.server;
  const callThere = createClient(there.url);
  const { access_token: newToken } = await register(callThere, 'ann@example.com');
  const archive = await callThere('PUT', '/api/files/by-name/archive.tar', { token: newToken, body: tar });
  const taken = await work(callThere, newToken, '/import', { fileId: archive.json['id'] });
  expect(taken).toMatchObject({ status: 'done', fileCount: 2 });
  expect(await work(callThere, newToken, `/${taken.id}/restore`, {})).toMatchObject({ status: 'done' });
  const moved = (await callThere('GET', '/api/files', { token: newToken })).json as { items: FileAnswer[] };
  const contents = await Promise.all(
    moved.items
      .filter(({ name }) => name !== 'archive.tar')
      .map(async ({ id, name }) => [
        name,
        (await callThere('GET', `/api/files/${id}/content`, { token: newToken })).text,
      ]),
  );
  expect(contents.sort()).toEqual([
    ['kept.txt', 'old'],
    ['lost.txt', 'to be deleted'],
  ]);
  await rm(repository, { recursive: true });
  await rm(other.repository, { recursive: true });
}, 120_000);

test('the system is put back by the next start, proven by a test restore, and outlives its data', async () => {
  const { server: first, repository } = await startWithRepository({ BACKUP_PASSPHRASE: 'open, sesame' });
  await using here = first;
  const call = createClient(here.url);
  const admin = await signInAsAdmin(call);
  const { access_token: token } = await register(call, 'ann@example.org');
  const file = await upload(call, token, 'x', 'worth keeping');

  const backup = await work(call, admin, '', { scope: 'system' });
  expect(backup).toMatchObject({ status: 'done', isKept: true });
  expect(await work(call, admin, `/${backup.id}/verify`, {})).toMatchObject({
    status: 'done',
    verification: { isGood: true, kind: 'full' },
  });
  expect(await work(call, admin, `/${backup.id}/verify`, { level: 'test-restore' })).toMatchObject({
    status: 'done',
    testRestore: { isGood: true },
  });
  const isCounted = async () =>
    (await call('GET', '/metrics', { token: admin })).text.includes('bunkhouse_backup_test_restore_good 1');
  await eventually(isCounted);

  await call('DELETE', `/api/files/${file.id}`, { token });
  const late = await register(call, 'late@example.org');
  expect(await work(call, admin, `/${backup.id}/restore`, {})).toMatchObject({ status: 'done', restartRequired: true });
  expect((await call('GET', `/api/files/${file.id}`, { token })).status).toBe(404);
  expect(await here.stop()).toBe(0);

  await using second = await here.restart();
  const callAgain = createClient(second.url);
  expect((await callAgain('GET', `/api/files/${file.id}/content`, { token })).text).toBe('worth keeping');
  expect((await callAgain('GET', '/api/auth/me', { token: late.access_token })).status).toBe(401);
  const { items } = (await callAgain('GET', '/api/backups', { token: admin })).json as { items: BackupAnswer[] };
  await eventually(async () => {
    const { json } = await callAgain('GET', `/api/backups/${backup.id}`, { token: admin });
    return json['status'] === 'done' && json['isKept'] === true;
  });
  expect(items.map(({ id }) => id)).toContain(backup.id);
  await rm(repository, { recursive: true });
}, 120_000);

test('a flipped bit is found, said where, and told to nobody who may not know', async () => {
  const { server, repository } = await startWithRepository();
  await using here = server;
  const call = createClient(here.url);
  const admin = await signInAsAdmin(call);
  await upload(call, admin, 'x', 'worth keeping');
  const backup = await work(call, admin, '', { scope: 'system' });
  const flip = async (pattern: string): Promise<string> => {
    const [key = ''] = await Array.fromAsync(new Bun.Glob(pattern).scan(repository));
    const bytes = await Bun.file(join(repository, key)).bytes();
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    await Bun.write(join(repository, key), bytes);
    return key;
  };
  const blob = await flip('blobs/**/*.zst');
  const found = await work(call, admin, `/${backup.id}/verify`, {});
  expect(found).toMatchObject({
    status: 'failed',
    failure: { code: 'backups/damaged' },
    verification: { isGood: false },
  });
  expect(JSON.stringify(found)).toContain(blob);
  // The file itself is right here, so nothing needs the damaged object.
  expect(await work(call, admin, `/${backup.id}/restore`, {})).toMatchObject({ status: 'done' });
  await flip('databases/main/*.zst');
  expect(await work(call, admin, `/${backup.id}/restore`, {})).toMatchObject({
    status: 'failed',
    failure: { code: 'backups/damaged' },
    isKept: true,
  });
  await rm(repository, { recursive: true });
}, 120_000);
