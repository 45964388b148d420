import { expect, test } from 'bun:test';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import { databaseLeases } from '../../src/db/leases.ts';
import { loadMigrations, migrate } from '../../src/db/migrate.ts';

async function setUp() {
  const database = await openEmbeddedDatabase({ name: 'main', path: ':memory:' });
  await migrate(database, loadMigrations());
  const clock = { at: 1_000_000, now: () => clock.at };
  return { database, clock, here: databaseLeases(database, clock), there: databaseLeases(database, clock) };
}

test('of many machines that ask at once, one gets the lease', async () => {
  const { database, clock } = await setUp();
  const machines = Array.from({ length: 20 }, () => databaseLeases(database, clock));
  const leases = await Promise.all(machines.map((machine) => machine.acquire('sweep', 1_000)));
  expect(leases.filter((lease) => lease !== null)).toHaveLength(1);
});

test('the holder itself does not get a second lease while the first runs', async () => {
  const { here } = await setUp();
  expect(await here.acquire('sweep', 1_000)).not.toBeNull();
  expect(await here.acquire('sweep', 1_000)).toBeNull();
});

test('a lease that expired is taken over with a higher fence, and the old holder can neither renew nor release it', async () => {
  const { clock, here, there } = await setUp();
  const first = await here.acquire('sweep', 1_000);
  clock.at += 1_000;
  const second = await there.acquire('sweep', 1_000);
  expect(second?.fence).toBeGreaterThan(first?.fence as number);
  expect(await first?.renew()).toBe(false);
  await first?.release(true);
  expect(await here.acquire('sweep', 1_000)).toBeNull();
  expect(await second?.renew()).toBe(true);
});

test('renewing keeps others out for another while', async () => {
  const { clock, here, there } = await setUp();
  const lease = await here.acquire('sweep', 1_000);
  clock.at += 900;
  expect(await lease?.renew()).toBe(true);
  clock.at += 900;
  expect(await there.acquire('sweep', 1_000)).toBeNull();
});

test('a released lease is free at once and tells when the job last finished', async () => {
  const { clock, here, there } = await setUp();
  const lease = await here.acquire('sweep', 1_000);
  clock.at += 5;
  await lease?.release(true);
  const next = await there.acquire('sweep', 1_000);
  expect(next?.lastFinishedAt).toBe(clock.at);
  await next?.release(false);
  expect((await here.acquire('sweep', 1_000))?.lastFinishedAt).toBe(clock.at);
});

test('leases of different jobs do not know each other', async () => {
  const { here, there } = await setUp();
  expect(await here.acquire('sweep', 1_000)).not.toBeNull();
  expect(await there.acquire('backup', 1_000)).not.toBeNull();
});
