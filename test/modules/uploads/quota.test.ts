import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import { users } from '../../../src/db/schema/auth.ts';
import { files, quotaReservations } from '../../../src/db/schema/uploads.ts';
import { uploadProblems } from '../../../src/modules/uploads/problems.ts';
import { createQuota } from '../../../src/modules/uploads/quota.ts';
import type { Database } from '../../../src/ports/database.ts';
import { fakeClock } from '../../support/fakes.ts';

const TTL_MS = 60_000;

let directory: string;
let path: string;
let database: Database;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bunkhouse-quota-'));
  path = join(directory, 'main.db');
  database = await openEmbeddedDatabase({ name: 'main', path });
  await migrate(database, loadMigrations());
  await database.write(async (tx) => {
    for (const id of ['ann', 'bob']) {
      await tx.insert(users).values({ id, email: `${id}@example.org`, passwordHash: '', createdAt: 0, updatedAt: 0 });
    }
  });
});
afterEach(async () => {
  await database.close();
  await rm(directory, { recursive: true, force: true });
});

const addFile = (id: string, size: number) =>
  database.write((tx) =>
    tx.insert(files).values({
      id,
      ownerId: 'ann',
      name: id,
      size,
      type: '',
      sha256: '',
      objectKey: id,
      createdAt: 0,
      updatedAt: 0,
    }),
  );

async function isRefused(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    if (uploadProblems.is(error, 'quota-exceeded')) return true;
    throw error;
  }
}

describe('a reservation', () => {
  test('counts beside what is kept until it is released, and for its owner alone', async () => {
    const quota = createQuota(1000, fakeClock());
    await addFile('a', 300);
    const reserve = (id: string, ownerId: string, bytes: number) =>
      database.write((tx) => quota.reserve(tx, { id, ownerId, bytes, ttlMs: TTL_MS }));
    await reserve('r1', 'ann', 600);
    expect(await quota.left(database.read, 'ann')).toBe(100);
    expect(await quota.left(database.read, 'bob')).toBe(1000);
    expect(await isRefused(reserve('r2', 'ann', 101))).toBe(true);
    await reserve('r2', 'ann', 100);
    await database.write((tx) => quota.release(tx, 'r1'));
    expect(await quota.left(database.read, 'ann')).toBe(600);
  });

  test('is changed, not added to, under the same id; a refused change leaves it as it was', async () => {
    const quota = createQuota(1000, fakeClock());
    const reserve = (bytes: number) =>
      database.write((tx) => quota.reserve(tx, { id: 'r', ownerId: 'ann', bytes, ttlMs: TTL_MS }));
    await reserve(400);
    await reserve(1000);
    expect(await isRefused(reserve(1001))).toBe(true);
    expect(await quota.left(database.read, 'ann')).toBe(0);
    await reserve(10);
    expect(await quota.left(database.read, 'ann')).toBe(990);
  });

  test('counts no more once it has expired, lives on when prolonged, and is swept', async () => {
    const clock = fakeClock();
    const quota = createQuota(1000, clock);
    for (const id of ['short', 'long']) {
      await database.write((tx) => quota.reserve(tx, { id, ownerId: 'ann', bytes: 300, ttlMs: TTL_MS }));
    }
    clock.turn(TTL_MS - 1);
    await database.write((tx) => quota.prolong(tx, 'long', TTL_MS));
    expect(await quota.left(database.read, 'ann')).toBe(400);
    clock.turn(1);
    expect(await quota.left(database.read, 'ann')).toBe(700);
    await quota.sweep(database);
    expect((await database.read.select().from(quotaReservations)).map(({ id }) => id)).toEqual(['long']);
  });

  test('of as much as there is says how much that was', async () => {
    const quota = createQuota(1000, fakeClock());
    await addFile('a', 900);
    const take = (bytes: number) =>
      database.write((tx) => quota.reserveUpTo(tx, { id: 'r', ownerId: 'ann', bytes, ttlMs: TTL_MS }));
    expect([await take(40), await take(100), await take(5000)]).toEqual([40, 100, 100]);
  });

  test('for a replacement leans on what it replaces, one at a time', async () => {
    const quota = createQuota(1000, fakeClock());
    await addFile('a', 900);
    const replaced = { fileId: 'a', size: 900 };
    const reserve = (id: string, bytes: number) =>
      database.write((tx) => quota.reserve(tx, { id, ownerId: 'ann', bytes, ttlMs: TTL_MS, replaced }));
    await reserve('r1', 950);
    expect(await quota.left(database.read, 'ann')).toBe(50);
    expect(await isRefused(reserve('r2', 950))).toBe(true);
    await reserve('r2', 50);
    // The first one keeps leaning on it when it changes.
    await reserve('r1', 940);
  });

  test('is refused when the account is gone', async () => {
    const quota = createQuota(1000, fakeClock());
    const attempt = database
      .write((tx) => quota.reserve(tx, { id: 'r', ownerId: 'nobody', bytes: 1, ttlMs: TTL_MS }))
      .catch((error: unknown) => error);
    expect(await attempt).toMatchObject({ kind: 'foreign-key' });
  });
});

describe('settling', () => {
  test('ends the reservation and looks at everybody else’s', async () => {
    const quota = createQuota(1000, fakeClock());
    const reserve = (id: string, bytes: number) =>
      database.write((tx) => quota.reserve(tx, { id, ownerId: 'ann', bytes, ttlMs: TTL_MS }));
    await reserve('mine', 400);
    await reserve('other', 500);
    const settle = (bytes: number, id: string | null) => database.write((tx) => quota.settle(tx, 'ann', bytes, id));
    expect(await isRefused(settle(501, 'mine'))).toBe(true);
    expect(await isRefused(settle(101, null))).toBe(true);
    await settle(500, 'mine');
    expect((await database.read.select().from(quotaReservations)).map(({ id }) => id)).toEqual(['other']);
  });

  test('never refuses what makes a full account smaller', async () => {
    await addFile('a', 5000);
    const quota = createQuota(1000, fakeClock());
    await database.write((tx) => quota.settle(tx, 'ann', -10, null));
    expect(await isRefused(database.write((tx) => quota.settle(tx, 'ann', 1, null)))).toBe(true);
  });
});

test('without a limit nothing is refused and nothing is written', async () => {
  const quota = createQuota(0, fakeClock());
  await database.write((tx) => quota.reserve(tx, { id: 'r', ownerId: 'ann', bytes: 1e15, ttlMs: TTL_MS }));
  await database.write((tx) => quota.settle(tx, 'ann', 1e15, 'r'));
  expect(await quota.left(database.read, 'ann')).toBe(Number.POSITIVE_INFINITY);
  expect(await database.read.select().from(quotaReservations)).toEqual([]);
});

test('is exact when several machines reserve at once', async () => {
  const machines = await Promise.all([0, 1, 2].map(() => openEmbeddedDatabase({ name: 'main', path })));
  try {
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, index) => {
        const machine = machines[index % machines.length] as Database;
        const quota = createQuota(1000, fakeClock());
        const reservation = { id: `r${index}`, ownerId: 'ann', bytes: 70, ttlMs: TTL_MS };
        return isRefused(machine.write((tx) => quota.reserve(tx, reservation)));
      }),
    );
    expect(outcomes.filter((refused) => !refused)).toHaveLength(14);
    expect(await createQuota(1000, fakeClock()).left(database.read, 'ann')).toBe(20);
  } finally {
    for (const machine of machines) await machine.close();
  }
});
