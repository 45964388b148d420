import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { connectCentrifugo } from '../modules/sockets/raw-client.ts';
import type { FileAnswer } from '../modules/uploads/support.ts';
import { runCli } from '../support/cli.ts';
import { type Call, createClient, PASSWORD, register, signIn, type Tokens } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { halves } from '../support/pictures.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { type Sqld, sqldProgram, startSqld } from '../support/sqld.ts';

interface Kind {
  readonly name: string;
  readonly needsSqld: boolean;
  /** Whether what was written outlives the process. */
  readonly isKept: boolean;
  /** File below DATA_DIR that holds the data, where there is one. */
  readonly file: string | null;
  /** What readiness says of it beside `ok`. */
  readonly detail: RegExp | null;
  env(sqldUrl: string): Record<string, string>;
}

const REPLICA_FILE = join('replica', 'main.db');
const plain = { needsSqld: false, isKept: true, file: 'main.db', detail: null };
const kinds: readonly Kind[] = [
  { ...plain, name: 'a file', env: () => ({}) },
  { ...plain, name: 'a file by native libSQL', env: () => ({ DATABASE_ENGINE: 'libsql' }) },
  { ...plain, name: 'memory', isKept: false, file: null, env: () => ({ DATABASE_URL: ':memory:' }) },
  { ...plain, name: 'a libSQL server', needsSqld: true, file: null, env: (url) => ({ DATABASE_URL: url }) },
  {
    name: 'a replica of a libSQL server',
    needsSqld: true,
    isKept: true,
    file: REPLICA_FILE,
    detail: /^replica current, lag/,
    env: (url) => ({ DATABASE_URL: url, DATABASE_REPLICA_PATH: REPLICA_FILE }),
  },
];

for (const kind of kinds) {
  describe.skipIf(kind.needsSqld && !sqldProgram)(`the same house on ${kind.name}`, () => {
    let sqld: Sqld | null = null;
    let server: TestServer;
    let call: Call;
    beforeAll(async () => {
      if (kind.needsSqld) sqld = await startSqld();
      server = await startServer({
        env: {
          BUNKHOUSE_SECRET: 'one-secret-for-every-database-of-this-test-0123',
          USER_QUOTA: '1MiB',
          ...kind.env(sqld?.url() ?? ''),
        },
      });
      call = createClient(server.url);
    });
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]();
      await sqld?.[Symbol.asyncDispose]();
    });

    if (kind.isKept)
      test('an account that the command line disables loses its open socket', async () => {
        const { access_token: token, user } = await register(call, 'cut@example.org');
        const client = await connectCentrifugo(`${server.url.replace('http', 'ws')}/connection/websocket`, token);
        const env = { DATA_DIR: server.dataDir, ...kind.env(sqld?.url() ?? '') };
        // A replica file belongs to one process; the command line goes to the primary.
        const { DATABASE_REPLICA_PATH: _replica, ...direct } = env as Record<string, string>;
        const { code, stderr } = await runCli(['user', 'disable', user.email], { cwd: server.dataDir, env: direct });
        expect(stderr).toBe('');
        expect(code).toBe(0);
        expect((await client.closed).code).toBe(3500);
      });

    test('a person registers, signs in and refreshes', async () => {
      const { user } = await register(call, 'Ann@Example.org');
      const again = await call('POST', '/api/auth/register', {
        json: { email: 'ann@example.org', password: PASSWORD },
      });
      expect([again.status, again.json['title']]).toEqual([409, expect.any(String)]);

      const signedIn = await signIn(call, 'ann@example.org');
      expect(signedIn.user.id).toBe(user.id);
      const answer = await call('POST', '/api/auth/refresh', { json: { refresh_token: signedIn.refresh_token } });
      expect(answer.status).toBe(200);
      const refreshed = answer.json as unknown as Tokens;
      expect(refreshed.refresh_token).not.toBe(signedIn.refresh_token);
      const me = await call('GET', '/api/auth/me', { token: refreshed.access_token });
      expect(me.json).toMatchObject({ id: user.id, email: 'ann@example.org', role: 'user' });

      const renamed = await call('PATCH', '/api/auth/me', { token: refreshed.access_token, json: { name: 'Änn 🐇' } });
      expect(renamed.status).toBe(200);
      expect((await call('GET', '/api/auth/me', { token: refreshed.access_token })).json['name']).toBe('Änn 🐇');
    });

    test('a login that ended is over at once', async () => {
      const { access_token: token, refresh_token } = await register(call, 'leaver@example.org');
      expect((await call('POST', '/api/auth/logout', { token })).status).toBe(204);
      expect((await call('GET', '/api/auth/me', { token })).status).toBe(401);
      expect((await call('POST', '/api/auth/refresh', { json: { refresh_token } })).status).toBe(401);
    });

    test('a file is uploaded, listed, renamed, read and deleted', async () => {
      const { access_token: token } = await register(call, 'files@example.org');
      const content = 'what the file says';
      const form = new FormData();
      form.append('file', new File([content], 'first.txt'));
      const uploaded = await call('POST', '/api/files', { token, body: form });
      expect(uploaded.status).toBe(201);
      const [file] = uploaded.json['items'] as [FileAnswer];
      expect(file).toMatchObject({
        name: 'first.txt',
        size: content.length,
        sha256: createHash('sha256').update(content).digest('hex'),
      });
      const second = (await call('PUT', '/api/files/by-name/second.txt', { token, body: 'two' })).json;
      const list = await call('GET', '/api/files', { token });
      expect(list.json).toEqual({ items: [second, file], nextCursor: null });

      const path = `/api/files/${file.id}`;
      const change = { name: 'renamed.txt', visibility: 'public' };
      expect((await call('PATCH', path, { token, json: change })).status).toBe(200);
      expect((await call('GET', path)).json).toMatchObject(change);
      expect((await call('GET', file.url)).text).toBe(content);

      expect((await call('DELETE', path, { token })).status).toBe(204);
      expect((await call('GET', path, { token })).status).toBe(404);
      expect((await call('GET', '/api/files', { token })).json['items']).toEqual([second]);
    });

    test('uploads that arrive together fill the quota and not a byte more', async () => {
      const { access_token: token } = await register(call, 'quota@example.org');
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          call('PUT', `/api/files/by-name/f${index}`, { token, body: new Uint8Array(300 * 1024) }),
        ),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, ...Array(7).fill(413)]);
      // Nothing is held any more: what is left can be had to the last byte.
      const rest = new Uint8Array(1024 * 1024 - 3 * 300 * 1024);
      expect((await call('PUT', '/api/files/by-name/rest', { token, body: rest })).status).toBe(201);
      expect((await call('PUT', '/api/files/by-name/more', { token, body: 'x' })).status).toBe(413);
    });

    test('a file has a picture, and a link for one use that is good once', async () => {
      const { access_token: token } = await register(call, 'links@example.org');
      const { id } = (await call('PUT', '/api/files/by-name/x', { token, body: halves(40, 20) })).json;
      for (let count = 0; count < 2; count++) {
        expect((await call('GET', `/api/files/${id}/image?width=16`, { token })).status).toBe(200);
      }
      await eventually(async () => 'thumbhash' in (await call('GET', `/api/files/${id}`, { token })).json);
      const wish = { expiresIn: 60, once: true };
      const { url } = (await call('POST', `/api/files/${id}/links`, { token, json: wish })).json as { url: string };
      const statuses = await Promise.all(Array.from({ length: 8 }, async () => (await fetch(url)).status));
      expect(statuses.sort()).toEqual([200, ...Array(7).fill(410)]);
    });

    test('a deleted account is gone with its files', async () => {
      const { access_token: token, refresh_token } = await register(call, 'gone@example.org');
      const { id } = (await call('PUT', '/api/files/by-name/mine', { token, body: 'mine' })).json;
      await call('PATCH', `/api/files/${id}`, { token, json: { visibility: 'public' } });
      expect((await call('GET', `/api/files/${id}`)).status).toBe(200);

      expect((await call('DELETE', '/api/auth/me', { token })).status).toBe(204);
      expect((await call('GET', '/api/auth/me', { token })).status).toBe(401);
      expect((await call('POST', '/api/auth/refresh', { json: { refresh_token } })).status).toBe(401);
      expect((await call('GET', `/api/files/${id}`)).status).toBe(401);
      const signingIn = { email: 'gone@example.org', password: PASSWORD };
      expect((await call('POST', '/api/auth/login', { json: signingIn })).status).toBe(401);
      await register(call, 'gone@example.org');
    });

    test('twenty register at once and all are there', async () => {
      const emails = Array.from({ length: 20 }, (_, index) => `crowd-${index}@example.org`);
      const people = await Promise.all(emails.map((email) => register(call, email)));
      expect(new Set(people.map(({ user }) => user.id)).size).toBe(20);
      const answers = await Promise.all(
        people.map(({ access_token: token }) => call('GET', '/api/auth/me', { token })),
      );
      expect(answers.map(({ json }) => json['email'])).toEqual(emails);
    });

    test('of twenty who register with one address one gets it', async () => {
      const json = { email: 'wanted@example.org', password: PASSWORD };
      const answers = await Promise.all(Array.from({ length: 20 }, () => call('POST', '/api/auth/register', { json })));
      expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(19).fill(409)]);
      await signIn(call, 'wanted@example.org');
    });

    test('of twenty who refresh with one token all get the same successor', async () => {
      const { refresh_token } = await register(call, 'impatient@example.org');
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => call('POST', '/api/auth/refresh', { json: { refresh_token } })),
      );
      expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(200));
      expect(new Set(answers.map(({ json }) => json['refresh_token'])).size).toBe(1);
    });

    test('readiness has a row for it', async () => {
      const row = async () => {
        const { json } = await call('GET', '/health/ready');
        return (json['checks'] as { name: string; status: string; latencyMs: number; detail?: string }[]).find(
          ({ name }) => name === 'database:main',
        );
      };
      await eventually(
        async () => (await row())?.status === 'ok' && (kind.detail?.test((await row())?.detail ?? '') ?? true),
      );
      const { status } = await call('GET', '/health/ready');
      expect(status).toBe(200);
      expect((await row())?.latencyMs).toBeGreaterThanOrEqual(0);
    });

    test('what was written outlives the process exactly where it is meant to', async () => {
      await register(call, 'lasting@example.org');
      if (kind.file !== null) expect(existsSync(join(server.dataDir, kind.file))).toBeTrue();
      server = await server.restart();
      call = createClient(server.url);
      const json = { email: 'lasting@example.org', password: PASSWORD };
      expect((await call('POST', '/api/auth/login', { json })).status).toBe(kind.isKept ? 200 : 401);
    });
  });
}
