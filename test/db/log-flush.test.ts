import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import type { Database } from '../../src/ports/database.ts';
import { eventually } from '../support/eventually.ts';

/** As many as share one commit at most. */
const GROUP = 64;

let directory: string;
let database: Database;
/** Flushes that were asked for, in order. They end when the test says so. */
let flushes: PromiseWithResolvers<void>[];
let isByHand: boolean;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bunkhouse-flush-'));
  [flushes, isByHand] = [[], false];
  database = await openEmbeddedDatabase({
    name: 'main',
    path: join(directory, 'main.db'),
    openWalSync: () => ({
      flush() {
        if (!isByHand) return Promise.resolve();
        const flush = Promise.withResolvers<void>();
        flushes.push(flush);
        return flush.promise;
      },
      close: () => Promise.resolve(),
    }),
  });
  await database.write((tx) => tx.run(sql`CREATE TABLE kept (id INTEGER PRIMARY KEY)`));
  isByHand = true;
});
afterEach(async () => {
  isByHand = false;
  for (const { resolve } of flushes) resolve();
  await database.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Begins writes, and lists the ids of those that were acknowledged and of those that failed. */
const begin = (first: number, count: number) => {
  const outcome = { acknowledged: [] as number[], failed: [] as number[] };
  for (let id = first; id < first + count; id++) {
    const writing = database.write((tx) => tx.run(sql`INSERT INTO kept VALUES (${id})`));
    writing.then(
      () => outcome.acknowledged.push(id),
      () => outcome.failed.push(id),
    );
  }
  return outcome;
};
const countKept = async () => (await database.read.values<[number]>(sql`SELECT count(*) FROM kept`))[0]?.[0];
const flushBegun = (count: number) => eventually(() => flushes.length === count);
const fewTurns = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
};

describe('a write that comes while the log is flushed', () => {
  test('shares one commit and one flush with the others, and is acknowledged after that flush', async () => {
    const first = begin(1, 1);
    await flushBegun(1);
    const later = begin(2, GROUP - 1);
    await fewTurns();
    expect([flushes.length, await countKept()]).toEqual([1, 1]);
    flushes[0]?.resolve();
    await flushBegun(2);
    expect([first.acknowledged, later.acknowledged]).toEqual([[1], []]);
    expect(await countKept()).toBe(GROUP);
    flushes[1]?.resolve();
    await eventually(() => later.acknowledged.length === GROUP - 1);
    expect(flushes).toHaveLength(2);
  });

  test('does not wait when it comes with as many as share a commit', async () => {
    begin(1, 2 * GROUP);
    await flushBegun(2);
    expect(await countKept()).toBe(2 * GROUP);
  });

  test('is done before the database closes', async () => {
    const first = begin(1, 1);
    await flushBegun(1);
    const later = begin(2, 3);
    const closing = database.close();
    flushes[0]?.resolve();
    await flushBegun(2);
    flushes[1]?.resolve();
    await closing;
    await fewTurns();
    expect([first.acknowledged, later.acknowledged]).toEqual([[1], [2, 3, 4]]);
  });
});

describe('after a flush that failed', () => {
  test('nothing is acknowledged and nothing is written any more', async () => {
    const first = begin(1, 1);
    await flushBegun(1);
    const later = begin(2, 3);
    flushes[0]?.reject(new Error('EIO'));
    await eventually(() => first.failed.length + later.failed.length === 4);
    const last = begin(5, 1);
    await eventually(() => last.failed.length === 1);
    expect([flushes.length, await countKept()]).toEqual([1, 1]);
    expect(await database.ping().then(String, ({ code }: { code?: string }) => code)).toBe('database/unavailable');
  });

  test('what was committed during it is not acknowledged by the next one', async () => {
    const writes = begin(1, 2 * GROUP);
    await flushBegun(2);
    flushes[0]?.reject(new Error('EIO'));
    flushes[1]?.resolve();
    await eventually(() => writes.acknowledged.length + writes.failed.length === 2 * GROUP);
    expect(writes.acknowledged).toEqual([]);
  });
});
