import { afterAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { openRemoteDatabase } from '../../../src/db/remote.ts';
import type { Database } from '../../../src/ports/database.ts';
import { describeDatabase } from '../../contracts/database.ts';
import { eventually } from '../../support/eventually.ts';
import { recordingLog } from '../../support/fakes.ts';
import { sqldProgram, startSqld } from '../../support/sqld.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { watchLoop } from '../remote/loop-gap.ts';
import { outcomeOf } from '../remote/outcome.ts';
import { createReplicas } from './support.ts';

const server = sqldProgram ? await startSqld({ namespaces: ['first'], isAuthenticated: true }) : null;
const replicas = createReplicas();
afterAll(async () => {
  await replicas[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** A network of so many milliseconds each way. */
const createNetwork = (delayMs: number) => startTcpProxy({ targetPort: server?.port ?? 0, delayMs });

let count = 0;
/** A replica of a database of its own on the server. */
const create = async (network?: TcpProxy) => {
  if (!server) throw new Error('sqld is missing');
  const number = ++count;
  const namespace = `replicated${number}`;
  await server.createNamespace(namespace);
  const authToken = server.token({ p: { rw: { ns: [namespace] } } });
  const url = network ? `http://${namespace}.localhost:${network.port}` : server.url(namespace);
  const { database } = await replicas.open(number, url, { authToken, deadlineMs: 5_000 });
  const primary = openRemoteDatabase({ name: 'main', url: server.url(namespace), authToken, log: recordingLog() });
  return { database, primary, url, authToken, number };
};

describe.skipIf(!server)('a replica', () => {
  describeDatabase('embedded replica', { open: async () => (await create()).database });

  const createTable = (database: Database) =>
    database.write((tx) => tx.run(sql`CREATE TABLE kept (id INTEGER PRIMARY KEY)`));
  const insert = (database: Database, id: number) =>
    database.write((tx) => tx.run(sql`INSERT INTO kept VALUES (${id})`));
  const has = async (database: Database, id: number) =>
    (await database.read.values(sql`SELECT 1 FROM kept WHERE id = ${id}`)).length === 1;

  test('reads without a round trip to the primary', async () => {
    await using network = await createNetwork(40);
    const { database } = await create(network);
    await createTable(database);
    await eventually(() => database.status().state === 'current');
    using loop = watchLoop();
    const took: number[] = [];
    for (let i = 0; i < 300; i++) {
      const startedAt = performance.now();
      await database.read.values(sql`SELECT * FROM kept WHERE id = 1`);
      took.push(performance.now() - startedAt);
    }
    took.sort((a, b) => a - b);
    expect(took[150]).toBeLessThan(2);
    expect(loop.longestMs).toBeLessThan(100);
  });

  test('shows a caller what it wrote, however far away the primary is', async () => {
    await using network = await createNetwork(15);
    const { database } = await create(network);
    await createTable(database);
    for (let id = 0; id < 20; id++) {
      await insert(database, id);
      expect(await has(database, id)).toBe(true);
    }
    expect(database.status()).toMatchObject({ state: 'current', lagFrames: 0 });
  });

  test('gets what others write', async () => {
    const { database, primary } = await create();
    await createTable(primary);
    await insert(primary, 7);
    await eventually(() => has(database, 7).catch(() => false));
    const before = database.version();
    await insert(primary, 8);
    await eventually(() => has(database, 8));
    await new Promise(setImmediate);
    expect(database.version()).not.toBe(before);
  });

  test('has what a write clashed with once that has rejected', async () => {
    const { database, primary } = await create();
    await createTable(database);
    for (let id = 0; id < 10; id++) {
      await insert(primary, id);
      expect(await outcomeOf(insert(database, id))).toBe('unique');
      expect(await has(database, id)).toBe(true);
    }
  });

  test('that cannot follow lets a caller read what it wrote from the primary', async () => {
    const { database } = await create();
    await createTable(database);
    process.kill(database.syncPid ?? 0, 'SIGSTOP');
    for (let id = 0; id < 3; id++) {
      await insert(database, id);
      expect(await has(database, id)).toBe(true);
      expect(database.version()).toBeNull();
    }
    process.kill(database.syncPid ?? 0, 'SIGCONT');
    await eventually(() => database.status().state === 'current');
    expect(await has(database, 2)).toBe(true);
  });

  test('goes on when its syncing process is killed, and starts it again', async () => {
    const { database, primary } = await create();
    await createTable(database);
    const pid = database.syncPid;
    process.kill(pid ?? 0, 'SIGKILL');
    await insert(database, 1);
    expect(await has(database, 1)).toBe(true);
    await insert(primary, 2);
    await eventually(async () => (await has(database, 2)) && database.status().state === 'current');
    expect(database.syncPid).not.toBe(pid);
  });

  test('leaves no process behind when it is closed', async () => {
    const { database } = await create();
    const pid = database.syncPid ?? 0;
    expect(isAlive(pid)).toBe(true);
    await database.close();
    expect(isAlive(pid)).toBe(false);
  });

  test('takes its syncing process with it when its own process is killed', async () => {
    const { number, url, authToken } = await create();
    const script = join(import.meta.dirname, 'open-and-wait.ts');
    const child = Bun.spawn([process.execPath, script, replicas.pathOf(number + 1_000), url, authToken], {
      stdout: 'pipe',
      stderr: 'inherit',
    });
    const { value } = await child.stdout.getReader().read();
    const pid = Number(new TextDecoder().decode(value));
    expect(isAlive(pid)).toBe(true);
    child.kill('SIGKILL');
    await eventually(() => !isAlive(pid));
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
