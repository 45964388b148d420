import { describe, expect, test } from 'bun:test';
import { rmSync, writeFileSync } from 'node:fs';
import { sql } from 'drizzle-orm';
import type { Database } from '../../../src/ports/database.ts';
import { eventually } from '../../support/eventually.ts';
import { sqldProgram, startSqld } from '../../support/sqld.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { watchLoop } from '../remote/loop-gap.ts';
import { outcomeOf } from '../remote/outcome.ts';
import { createReplicas } from './support.ts';

const LONGEST_GAP_MS = 100;

const createTable = (database: Database) =>
  database.write((tx) => tx.run(sql`CREATE TABLE kept (id INTEGER PRIMARY KEY, pair INTEGER, pad BLOB)`));
/** Always two rows at once, whose pairs add up to nothing. */
const insert = (database: Database, id: number) =>
  database.write(async (tx) => {
    await tx.run(sql`INSERT INTO kept VALUES (${id * 2}, ${id}, randomblob(3000))`);
    await tx.run(sql`INSERT INTO kept VALUES (${id * 2 + 1}, ${-id}, randomblob(3000))`);
  });
const countOf = async (database: Database) =>
  (await database.read.values<[number]>(sql`SELECT count(*) FROM kept`))[0]?.[0] ?? 0;

/** Writes and reads until it is stopped; every read is checked for being one committed state. */
function startTraffic(database: Database) {
  const acknowledged: number[] = [];
  const outcomes = new Set<string>();
  const torn: unknown[] = [];
  let refused = 0;
  let reads = 0;
  let isRunning = true;
  const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
  const write = async () => {
    for (let id = 1; isRunning; id++) {
      const outcome = await outcomeOf(insert(database, id));
      outcomes.add(`write ${outcome}`);
      if (outcome === 'ok') acknowledged.push(id);
      else refused++;
      await turn();
    }
  };
  const read = async () => {
    while (isRunning) {
      const query = database.read.values<[number, number]>(sql`SELECT count(*), sum(pair) FROM kept`);
      const outcome = await outcomeOf(query);
      outcomes.add(`read ${outcome}`);
      if (outcome === 'ok') {
        const [row] = await query;
        if (row && (row[0] % 2 !== 0 || (row[1] ?? 0) !== 0)) torn.push(row);
        reads++;
      }
      await turn();
    }
  };
  const lanes = [write(), read(), read()];
  return {
    acknowledged,
    outcomes,
    torn,
    get refused() {
      return refused;
    },
    get reads() {
      return reads;
    },
    async stop() {
      isRunning = false;
      await Promise.all(lanes);
    },
  };
}

describe.skipIf(!sqldProgram)('a replica under traffic whose primary', () => {
  test.each<['is killed' | 'is stopped' | 'is cut off' | 'is out of reach']>([
    ['is killed'],
    ['is stopped'],
    ['is cut off'],
    ['is out of reach'],
  ])(
    '%s: reads never fail, writes do and come back, nothing acknowledged is missing',
    async (how) => {
      await using primary = await startSqld();
      await using network = await startTcpProxy({ targetPort: primary.port, delayMs: 2 });
      await using replicas = createReplicas();
      const { database, alerts } = await replicas.open(1, network.url);
      await createTable(database);
      using loop = watchLoop();
      const traffic = startTraffic(database);
      await eventually(() => traffic.acknowledged.length > 20);

      if (how === 'is killed') await primary.kill();
      if (how === 'is stopped') primary.freeze();
      if (how === 'is cut off') network.cut();
      if (how === 'is out of reach') network.blackhole();
      await eventually(() => traffic.refused > 2 && database.status().state === 'offline', 20_000);
      const readsBefore = traffic.reads;
      await eventually(() => traffic.reads > readsBefore + 100);

      if (how === 'is killed') await primary.start();
      if (how === 'is stopped') primary.thaw();
      network.restore();
      const writesBefore = traffic.acknowledged.length;
      await eventually(() => traffic.acknowledged.length > writesBefore + 20, 30_000);
      await eventually(() => database.status().state === 'current', 20_000);
      await traffic.stop();
      expect(loop.longestMs).toBeLessThan(LONGEST_GAP_MS);

      // A commit that was on its way when the primary went may or may not have been kept; nothing else is left open.
      const outcomes = [...traffic.outcomes].filter((outcome) => outcome !== 'write database/unknown-outcome');
      expect(outcomes.sort()).toEqual(['read ok', 'write database/unavailable', 'write ok']);
      expect(traffic.torn).toEqual([]);
      const kept = new Set((await database.read.values<[number]>(sql`SELECT pair FROM kept`)).map(([pair]) => pair));
      expect(traffic.acknowledged.filter((id) => !kept.has(id))).toEqual([]);
      expect(await database.read.values(sql`PRAGMA integrity_check`)).toEqual([['ok']]);
      expect(alerts).toEqual([]);
    },
    90_000,
  );
});

describe.skipIf(!sqldProgram)('a replica whose primary lost its data', () => {
  test('refuses the new one, goes on serving and raises the alarm once; the right one is welcome again', async () => {
    await using primary = await startSqld();
    await using replicas = createReplicas();
    const { database, alerts } = await replicas.open(1, primary.url());
    await createTable(database);
    await insert(database, 1);

    await primary.kill();
    await primary.start({ data: 1 });
    await eventually(() => database.status().state === 'replaced', 20_000);
    expect(await outcomeOf(insert(database, 2))).toBe('database/unavailable');
    expect(await countOf(database)).toBe(2);
    expect(alerts).toHaveLength(1);
    expect(alerts[0]).toMatchObject({ name: 'replica-primary-replaced:main', severity: 'critical' });

    await primary.kill();
    await primary.start();
    await eventually(async () => (await outcomeOf(insert(database, 3))) === 'ok', 20_000);
    await eventually(() => database.status().state === 'current');
    expect(await countOf(database)).toBe(4);
  }, 60_000);

  test('is not wiped at start-up either, nor is the new primary given its identity', async () => {
    await using primary = await startSqld();
    await using replicas = createReplicas();
    const first = await replicas.open(1, primary.url());
    await createTable(first.database);
    await insert(first.database, 1);
    await first.database.close();
    await primary.kill();
    await primary.start({ data: 1 });

    for (let start = 0; start < 2; start++) {
      const { database, alerts } = await replicas.open(1, primary.url());
      expect(await countOf(database)).toBe(2);
      await eventually(() => alerts.length === 1, 20_000);
      expect(await outcomeOf(insert(database, 2))).toBe('database/unavailable');
      expect(await countOf(database)).toBe(2);
      await database.close();
    }
  }, 60_000);

  test('is not wiped when the primary is replaced while a handshake is under way', async () => {
    await using primary = await startSqld();
    await using network = await startTcpProxy({ targetPort: primary.port });
    await using replicas = createReplicas();
    const { database } = await replicas.open(1, network.url);
    await createTable(database);
    await insert(database, 1);
    for (let data = 1; data <= 3; data++) {
      network.cut();
      await primary.kill();
      await primary.start({ data });
      network.restore();
      await eventually(() => database.status().state === 'replaced', 30_000);
      expect(await countOf(database)).toBe(2);
      await primary.kill();
      await primary.start();
      await eventually(() => database.status().state === 'current', 30_000);
      expect(await countOf(database)).toBe(2);
    }
  }, 120_000);

  test('is written to by nobody who has not noticed yet', async () => {
    await using primary = await startSqld();
    await using network = await startTcpProxy({ targetPort: primary.port });
    await using replicas = createReplicas();
    const { database, alerts } = await replicas.open(1, network.url);
    await database.write((tx) => tx.run(sql`CREATE TABLE IF NOT EXISTS other (id INTEGER)`));
    process.kill(database.syncPid ?? 0, 'SIGSTOP');
    await primary.kill();
    await primary.start({ data: 1 });
    const attempt = () => outcomeOf(database.write((tx) => tx.run(sql`CREATE TABLE IF NOT EXISTS other (id INTEGER)`)));
    await eventually(async () => {
      expect(await attempt()).toBe('database/unavailable');
      return alerts.length === 1;
    });
    const answer = await fetch(`${primary.url()}/v3/pipeline`, {
      method: 'POST',
      body: JSON.stringify({ requests: [{ type: 'execute', stmt: { sql: 'SELECT name FROM sqlite_schema' } }] }),
    });
    expect(await answer.text()).not.toContain('other');
  }, 60_000);
});

describe.skipIf(!sqldProgram)('a replica that starts', () => {
  test('without its primary serves what it has', async () => {
    await using primary = await startSqld();
    await using replicas = createReplicas();
    const first = await replicas.open(1, primary.url());
    await createTable(first.database);
    await insert(first.database, 1);
    await first.database.close();
    await primary.kill();

    const { database } = await replicas.open(1, primary.url());
    expect(await countOf(database)).toBe(2);
    await database.ping();
    expect(await outcomeOf(insert(database, 2))).toBe('database/unavailable');
    await primary.start();
    await eventually(async () => (await outcomeOf(insert(database, 2))) === 'ok', 20_000);
    expect(await countOf(database)).toBe(4);
  }, 60_000);

  test('for the first time without its primary answers that, and begins when it is there', async () => {
    await using primary = await startSqld();
    await primary.kill();
    await using replicas = createReplicas();
    const { database } = await replicas.open(1, primary.url());
    expect(database.status().state).toBe('starting');
    expect(await outcomeOf(database.read.values(sql`SELECT 1`))).toBe('database/unavailable');
    expect(await outcomeOf(database.ping())).toBe('database/unavailable');
    await primary.start();
    await eventually(() => database.status().state === 'current', 20_000);
    await createTable(database);
    expect(await countOf(database)).toBe(0);
  }, 60_000);

  test('on a damaged file reads from the primary and says so', async () => {
    await using primary = await startSqld();
    await using replicas = createReplicas();
    const first = await replicas.open(1, primary.url());
    await createTable(first.database);
    await insert(first.database, 1);
    await first.database.close();
    for (const part of ['-wal', '-shm']) rmSync(`${replicas.pathOf(1)}${part}`, { force: true });
    writeFileSync(replicas.pathOf(1), 'this is no database file, it is a letter to a friend'.repeat(100));

    using loop = watchLoop();
    const { database, alerts } = await replicas.open(1, primary.url());
    expect(alerts).toMatchObject([{ name: 'replica-damaged:main' }]);
    expect(await countOf(database)).toBe(2);
    await insert(database, 2);
    expect(await countOf(database)).toBe(4);
    expect(database.status().state).toBe('damaged');
    expect(loop.longestMs).toBeLessThan(LONGEST_GAP_MS);
  }, 60_000);

  test('with a wrong token answers unavailable to all, and tells why in the log alone', async () => {
    await using primary = await startSqld({ isAuthenticated: true });
    await using replicas = createReplicas();
    const { database, log } = await replicas.open(1, primary.url(), { authToken: 'a-secret-token' });
    expect(await outcomeOf(database.read.values(sql`SELECT 1`))).toBe('database/unavailable');
    expect(await outcomeOf(createTable(database))).toBe('database/unavailable');
    expect(JSON.stringify(log.lines)).toContain('401');
    expect(JSON.stringify(log.lines)).not.toContain('a-secret-token');
  }, 60_000);
});
