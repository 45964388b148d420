import { afterAll, describe, expect, test } from 'bun:test';
import { createServer } from 'node:net';
import { sql } from 'drizzle-orm';
import { openRemoteDatabase, type RemoteDatabase } from '../../../src/db/remote.ts';
import { AppError } from '../../../src/kernel/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { recordingLog } from '../../support/fakes.ts';
import { sqldProgram, startSqld } from '../../support/sqld.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { watchLoop } from './loop-gap.ts';
import { errorOf, outcomeOf } from './outcome.ts';

const LONGEST_GAP_MS = 100;
const DEADLINE_MS = 400;
const server = sqldProgram ? await startSqld({ namespaces: ['main', 'other'], isAuthenticated: true }) : null;
afterAll(async () => server?.[Symbol.asyncDispose]());

const open = (url: string, authToken?: string, log = recordingLog(), deadlineMs = DEADLINE_MS) =>
  openRemoteDatabase({ name: 'main', url, authToken, log, deadlineMs });
const write = (database: RemoteDatabase) => database.write((tx) => tx.run(sql`CREATE TABLE IF NOT EXISTS kept (id)`));
const read = (database: RemoteDatabase) => database.read.values(sql`SELECT 1`);

/** A listener that takes connections and answers none. */
async function silentListener() {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(listener.address() as { port: number }).port}`,
    [Symbol.asyncDispose]: async () => void listener.close(),
  };
}

describe('an address where no database is', () => {
  test.each<[string, () => Promise<{ url: string } & AsyncDisposable>]>([
    ['nobody listens', async () => ({ url: 'http://127.0.0.1:1', [Symbol.asyncDispose]: async () => undefined })],
    ['no such host', async () => ({ url: 'http://nowhere.invalid', [Symbol.asyncDispose]: async () => undefined })],
    ['a host that never answers', silentListener],
    [
      'a web site',
      async () => {
        const site = Bun.serve({ port: 0, fetch: () => new Response('<html>welcome</html>') });
        return { url: site.url.href, [Symbol.asyncDispose]: () => site.stop(true) };
      },
    ],
    [
      'a proxy whose upstream is gone',
      async () => {
        const site = Bun.serve({ port: 0, fetch: () => new Response('bad gateway', { status: 502 }) });
        return { url: site.url.href, [Symbol.asyncDispose]: () => site.stop(true) };
      },
    ],
  ])('%s: every call is answered in time, and the loop runs', async (_, start) => {
    await using place = await start();
    using loop = watchLoop();
    const log = recordingLog();
    const database = open(place.url, 'a-secret-token', log);
    for (const call of [read, write, (each: RemoteDatabase) => each.ping(), read, write]) {
      const startedAt = performance.now();
      const error = await errorOf(call(database));
      expect(performance.now() - startedAt).toBeLessThan(DEADLINE_MS + 200);
      expect(error).toBeInstanceOf(AppError);
      expect((error as AppError).code).toBe('database/unavailable');
      expect((error as AppError).retryAfterSeconds).toBeGreaterThan(0);
      expect(Bun.inspect(error)).not.toContain('a-secret-token');
    }
    expect(JSON.stringify(log.lines)).toContain('the remote database');
    expect(JSON.stringify(log.lines)).not.toContain('a-secret-token');
    await database.close();
    expect(loop.longestMs).toBeLessThan(LONGEST_GAP_MS);
  });

  test.each(['', 'main.db', 'file:main.db', 'ftp://host', 'http://', 'libsql://host?tls=0', 'http://user:pass@host'])(
    'is refused when it cannot be one: "%s"',
    (url) => {
      expect(() => open(url)).toThrow(TypeError);
    },
  );
});

describe.skipIf(!server)('a server that refuses', () => {
  const token = (claims: object, ttlSeconds?: number) => server?.token(claims, ttlSeconds) ?? '';
  test.each<[string, string, () => string | undefined, string]>([
    ['no token', 'main', () => undefined, '401'],
    ['a wrong token', 'main', () => 'wrong', '401'],
    ['an expired token', 'main', () => token({ a: 'rw' }, -3_600), '401'],
    ['the token of another database', 'main', () => token({ p: { rw: { ns: ['other'] } } }), '404'],
    ['a database that is not there', 'absent', () => token({ a: 'rw' }), '404'],
  ])('%s: unavailable, with the reason in the log alone', async (_, namespace, tokenOf, status) => {
    const log = recordingLog();
    const database = open(server?.url(namespace) ?? '', tokenOf(), log);
    for (const call of [read, write]) {
      const error = (await errorOf(call(database))) as AppError;
      expect(error.code).toBe('database/unavailable');
      expect(error.detail).not.toContain(status);
      expect(String(error.cause)).toContain(status);
    }
    expect(JSON.stringify(log.lines)).toContain(status);
    expect(log.lines).toHaveLength(1);
  });

  test('writes alone are refused to a token that may only read', async () => {
    const database = open(server?.url('main') ?? '', token({ a: 'ro' }));
    expect(await outcomeOf(read(database))).toBe('ok');
    expect(await outcomeOf(write(database))).toBe('database/unavailable');
  });
});

describe.skipIf(!server)('a transaction', () => {
  const openTable = async (url?: string) => {
    const admin = open(server?.url('main') ?? '', server?.token({ a: 'rw' }));
    await admin.write(async (tx) => {
      await tx.run(sql`DROP TABLE IF EXISTS counted`);
      await tx.run(sql`CREATE TABLE counted (n INTEGER)`);
      await tx.run(sql`INSERT INTO counted VALUES (0)`);
    });
    const count = async () => (await admin.read.values<[number]>(sql`SELECT n FROM counted`))[0]?.[0];
    return { admin, count, database: url === undefined ? admin : open(url, server?.token({ a: 'rw' })) };
  };
  const add = (database: RemoteDatabase) =>
    database.write(async (tx) => {
      const [row] = await tx.values<[number]>(sql`SELECT n FROM counted`);
      await tx.run(sql`UPDATE counted SET n = ${(row?.[0] ?? 0) + 1}`);
    });

  test('that never ends is given up at its deadline, and the next one is fine', async () => {
    const { database, count } = await openTable();
    const late: Promise<unknown>[] = [];
    const hanging = database.write(async (tx) => {
      await tx.run(sql`UPDATE counted SET n = 100`);
      await new Promise<void>((resolve) => late.push(hangingEnded.then(() => resolve())));
      late.push(outcomeOf(tx.run(sql`UPDATE counted SET n = 200`)));
    });
    const hangingEnded = outcomeOf(hanging);
    expect(await hangingEnded).toBe('database/unavailable');
    await eventually(() => late.length === 2);
    expect(await late[1]).toBe('database/unavailable');
    await add(database);
    expect(await count()).toBe(1);
  });

  test('whose commit is not answered says that nobody knows', async () => {
    await using proxy = await startTcpProxy({ targetPort: server?.port ?? 0, host: 'main.localhost' });
    const { database, count } = await openTable(proxy.url);
    const error = await errorOf(
      database.write(async (tx) => {
        await tx.run(sql`UPDATE counted SET n = 100`);
        proxy.blackhole();
      }),
    );
    expect((error as AppError).problem.status).toBe(503);
    expect((error as AppError).detail).toContain('may or may not');
    proxy.restore();
    // The server holds the lock of the stream that went silent for five seconds.
    await eventually(async () => (await outcomeOf(add(database))) === 'ok', 15_000);
    expect(await count()).toBe(1);
  }, 20_000);

  test('that loses its connection before the commit is undone and says so', async () => {
    await using proxy = await startTcpProxy({ targetPort: server?.port ?? 0, host: 'main.localhost' });
    const { database, count } = await openTable(proxy.url);
    const error = await errorOf(
      database.write(async (tx) => {
        await tx.run(sql`UPDATE counted SET n = 100`);
        proxy.cut();
        // Whatever the work makes of the error, nothing is committed.
        await outcomeOf(tx.run(sql`UPDATE counted SET n = 200`));
        proxy.restore();
      }),
    );
    expect((error as AppError).code).toBe('database/unavailable');
    expect((error as AppError).detail).not.toContain('may or may not');
    expect(await count()).toBe(0);
  });

  test('of fifty on two machines takes its turn, and all count', async () => {
    const { count } = await openTable();
    const machine = () => open(server?.url('main') ?? '', server?.token({ a: 'rw' }), recordingLog(), 5_000);
    const [here, there] = [machine(), machine()];
    using loop = watchLoop();
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, i) => outcomeOf(add(i % 2 ? here : there))));
    expect(new Set(outcomes)).toEqual(new Set(['ok']));
    expect(await count()).toBe(50);
    expect(loop.longestMs).toBeLessThan(LONGEST_GAP_MS);
  });
});

describe.skipIf(!server)('a server that goes away under traffic', () => {
  /** Writes numbers and reads until it is told to stop; keeps those that were acknowledged. */
  function startTraffic(database: RemoteDatabase) {
    const seen = new Map<string, number>();
    const acknowledged: number[] = [];
    let isRunning = true;
    const note = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
    const lane = async (laneNumber: number) => {
      for (let n = laneNumber; isRunning; n += 10) {
        const outcome = await outcomeOf(database.write((tx) => tx.run(sql`INSERT INTO kept VALUES (${n})`)));
        if (outcome === 'ok') acknowledged.push(n);
        note(`write ${outcome}`);
        note(`read ${await outcomeOf(read(database))}`);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    const lanes = Array.from({ length: 5 }, (_, index) => lane(index));
    return {
      seen,
      acknowledged,
      async stop() {
        isRunning = false;
        await Promise.all(lanes);
      },
    };
  }
  const allowed = [
    'write ok',
    'read ok',
    'write database/unavailable',
    'write database/unknown-outcome',
    'read database/unavailable',
    'write database/busy',
  ];

  test.each<['kill -9' | 'SIGSTOP']>([['kill -9'], ['SIGSTOP']])(
    '%s: typed errors, a running loop, nothing acknowledged lost, and it comes back',
    async (how) => {
      await using primary = await startSqld();
      const database = open(primary.url());
      await database.write((tx) => tx.run(sql`CREATE TABLE kept (id INTEGER PRIMARY KEY)`));
      using loop = watchLoop();
      const traffic = startTraffic(database);
      await eventually(() => traffic.acknowledged.length > 50);
      if (how === 'kill -9') await primary.kill();
      else primary.freeze();
      await eventually(() => database.isDown && (traffic.seen.get('write database/unavailable') ?? 0) > 20);
      if (how === 'kill -9') await primary.start();
      else primary.thaw();
      const before = traffic.acknowledged.length;
      await eventually(() => traffic.acknowledged.length > before + 50, 20_000);
      await traffic.stop();
      expect(loop.longestMs).toBeLessThan(LONGEST_GAP_MS);

      await primary.kill();
      await primary.start();
      const kept = new Set<number>();
      await eventually(async () => {
        const rows = await database.read.values<[number]>(sql`SELECT id FROM kept`).catch(() => []);
        for (const [id] of rows) kept.add(id);
        return rows.length > 0;
      });
      expect(traffic.acknowledged.filter((id) => !kept.has(id))).toEqual([]);
      expect([...traffic.seen.keys()].filter((what) => !allowed.includes(what))).toEqual([]);
      await database.close();
    },
    40_000,
  );

  test('while it is known to be gone calls fail at once, and one tries again after a pause', async () => {
    await using primary = await startSqld();
    const log = recordingLog();
    const database = open(primary.url(), undefined, log);
    await primary.kill();
    await eventually(async () => {
      await outcomeOf(read(database));
      return database.isDown;
    });
    const startedAt = performance.now();
    for (let call = 0; call < 100; call++) expect(await outcomeOf(read(database))).toBe('database/unavailable');
    expect(performance.now() - startedAt).toBeLessThan(DEADLINE_MS);
    await primary.start();
    await eventually(async () => (await outcomeOf(read(database))) === 'ok');
    expect(database.isDown).toBe(false);
    expect(log.lines.map(({ message }) => message)).toEqual([
      'the remote database does not answer',
      'the remote database answers again',
    ]);
  });
});
