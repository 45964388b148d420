import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import { users } from '../../../src/db/schema/auth.ts';
import { directUploads } from '../../../src/db/schema/direct-uploads.ts';
import { s3Stores } from '../../../src/drivers/s3-stores.ts';
import { createEvents } from '../../../src/kernel/events.ts';
import { createHook } from '../../../src/kernel/hooks.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import { databaseProblems } from '../../../src/kernel/problems.ts';
import { type Admit, createAdmission } from '../../../src/modules/uploads/admission.ts';
import { createDirectService, type DirectTicket } from '../../../src/modules/uploads/direct-service.ts';
import { createQuota } from '../../../src/modules/uploads/quota.ts';
import { fileStore } from '../../../src/modules/uploads/store.ts';
import type { Database } from '../../../src/ports/database.ts';
import { failureOf } from '../../contracts/object-store.ts';
import { fakeClock, recordingLog } from '../../support/fakes.ts';
import { startS3Stub } from '../../support/s3-stub.ts';

const HOUR = 3_600_000;
const MIB = 2 ** 20;

const SIGNAL = new AbortController().signal;

/** The service on a bucket of its own, with one account. */
async function openHouse() {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-direct-'));
  const plain = await openEmbeddedDatabase({ name: 'main', path: join(directory, 'main.db') });
  const empty = await openEmbeddedDatabase({ name: 'empty', path: join(directory, 'empty.db') });
  const stub = await startS3Stub();
  await migrate(plain, loadMigrations());
  await migrate(empty, loadMigrations());
  const state: { wakes: number; isBehind: boolean; admit: Admit | null } = { wakes: 0, isBehind: false, admit: null };
  const database: Database = {
    ...plain,
    get read() {
      return state.isBehind ? empty.read : plain.read;
    },
  };
  const ownerId = uuidv7();
  const person = {
    id: ownerId,
    email: 'ann@example.org',
    role: 'user',
    passwordHash: '',
    createdAt: 0,
    updatedAt: 0,
  } as const;
  await database.write((tx) => tx.insert(users).values(person));
  const [clock, log] = [fakeClock(), recordingLog()];
  const quota = createQuota(1000 * MIB, clock);
  const { objects: store } = s3Stores({ ...stub.options, prefix: 'house', log });
  const limits = { maxFileBytes: 0, userQuotaBytes: 1000 * MIB, userMaxFiles: 0, types: [] };
  const common = { database, store, clock, log, quota, limits, onDoomed: () => void state.wakes++ };
  const { admit } = createAdmission({ ...common, events: createEvents(() => undefined), hook: createHook() });
  const service = createDirectService({ ...common, admit: (request) => (state.admit ?? admit)(request) });
  return {
    ...{ database, stub, ownerId, state, clock, log, quota, store, service },
    names: () => stub.store.everything(),
    left: () => quota.left(database.read, ownerId),
    /** Deletes what is doomed, as the reaper does. */
    async reap() {
      const keys = await fileStore.doomed(database.read, 100, '');
      for (const key of keys) await store.delete(key);
      await database.write((tx) => fileStore.forgetDoomed(tx, keys));
    },
    async close() {
      await stub.stop();
      await plain.close();
      await empty.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

let house: Awaited<ReturnType<typeof openHouse>>;
beforeEach(async () => {
  house = await openHouse();
});
afterEach(() => house.close());

async function put(ticket: DirectTicket, body: string): Promise<void> {
  if (!('url' in ticket)) throw new Error('a small content is sent in one piece');
  expect((await fetch(ticket.url, { method: 'PUT', headers: ticket.headers, body })).status).toBe(200);
}

test('what was begun and never completed is gone two hours after it could be sent, in one piece or in parts', async () => {
  const { ownerId, clock, service, left, state, database } = house;
  const whole = await service.begin(ownerId, { name: 'a', size: 10 });
  await service.begin(ownerId, { name: 'b', size: 500 * MIB });
  await put(whole, '0123456789');
  expect(await left()).toBe(500 * MIB - 10);
  const kept = () => house.names().map((name) => name.replace(/house\/.*/, 'it'));

  clock.turn(HOUR - 1);
  await service.sweep(SIGNAL);
  expect([kept(), state.wakes]).toEqual([['it', 'upload of it'], 0]);
  clock.turn(HOUR + 2);
  await service.sweep(SIGNAL);
  // The object is doomed with its row; the reaper deletes it.
  const doomed = await fileStore.doomed(database.read, 10, '');
  expect([doomed.length, state.wakes]).toEqual([1, 1]);
  expect(await failureOf(service.complete(ownerId, whole.id))).toMatchObject({ code: 'uploads/direct-not-found' });
  clock.turn(24 * HOUR);
  await service.sweep(SIGNAL);
  await house.reap();
  expect(kept()).toEqual([]);
  expect(await left()).toBe(1000 * MIB);
});

test('what was refused counts, and is swept, for as long as its URL may bring bytes back', async () => {
  const { ownerId, clock, service, left } = house;
  const ticket = await service.begin(ownerId, { name: 'a', size: 10, sha256: '0'.repeat(64) });
  await put(ticket, '0123456789');
  expect(await failureOf(service.complete(ownerId, ticket.id))).toMatchObject({ code: 'uploads/hash-mismatch' });
  expect(house.names()).toEqual([]);
  expect(await failureOf(service.complete(ownerId, ticket.id))).toMatchObject({ code: 'uploads/direct-not-found' });

  await put(ticket, '0123456789');
  expect(await left()).toBe(1000 * MIB - 10);
  clock.turn(2 * HOUR + 1);
  await service.sweep(SIGNAL);
  await house.reap();
  expect([house.names(), await left()]).toEqual([[], 1000 * MIB]);
});

test('parts that were refused are gone at once: their URLs died', async () => {
  const { ownerId, service, left, stub, database } = house;
  const ticket = await service.begin(ownerId, { name: 'a', size: 101 * MIB, sha256: '0'.repeat(64) });
  if (!('parts' in ticket)) throw new Error('a large content is sent in parts');
  const content = Buffer.alloc(101 * MIB);
  for (const { number, url } of ticket.parts) {
    const body = content.subarray((number - 1) * ticket.partSize, number * ticket.partSize);
    expect((await fetch(url, { method: 'PUT', body })).status).toBe(200);
  }
  expect(await failureOf(service.complete(ownerId, ticket.id))).toMatchObject({ code: 'uploads/hash-mismatch' });
  expect([stub.store.everything(), await left()]).toEqual([[], 1000 * MIB]);
  expect(await database.read.select().from(directUploads)).toEqual([]);
});

test('what a URL may still bring after completion counts beside the file, and goes when the URL is dead', async () => {
  const { ownerId, clock, service, left } = house;
  const ticket = await service.begin(ownerId, { name: 'a', size: 100 * MIB });
  const body = 'x'.repeat(100 * MIB);
  await put(ticket, body);
  const file = await service.complete(ownerId, ticket.id);
  expect(await left()).toBe(800 * MIB);
  await put(ticket, body);
  expect(house.names()).toHaveLength(2);
  clock.turn(2 * HOUR + 1);
  await service.sweep(SIGNAL);
  await house.reap();
  expect([house.names(), await left()]).toEqual([[`house/${file.objectKey}`], 900 * MIB]);
});

test('a completion is not refused because the quota has no room for what its URL may still bring', async () => {
  const { ownerId, service, left } = house;
  await service.begin(ownerId, { name: 'large', size: 1000 * MIB - 15 });
  const ticket = await service.begin(ownerId, { name: 'a', size: 10 });
  await put(ticket, '0123456789');
  expect(await service.complete(ownerId, ticket.id)).toMatchObject({ size: 10 });
  expect(await left()).toBe(0);
});

test('a content of another size, in a store that ignores what was signed, is refused before it is copied', async () => {
  const { ownerId, service, stub } = house;
  const ticket = await service.begin(ownerId, { name: 'a', size: 10 });
  await put(ticket, '0123456789');
  const [name] = house.names() as [string];
  stub.store.put(name, Buffer.alloc(MIB), 'x/y');
  expect(await failureOf(service.complete(ownerId, ticket.id))).toMatchObject({ code: 'uploads/size-mismatch' });
  expect(stub.requests).not.toContain('CopyObject');
  expect(house.names()).toEqual([]);
});

test('what nothing names is found by the hourly search, and nothing else', async () => {
  const { ownerId, service, stub, database } = house;
  const lost = await service.begin(ownerId, { name: 'a', size: 10 });
  await put(lost, '0123456789');
  await database.write((tx) => tx.delete(directUploads));
  await house.reap();
  expect(house.names()).toEqual([]);
  // The URL outlives its row.
  await put(lost, '0123456789');
  const pending = await service.begin(ownerId, { name: 'b', size: 10 });
  await put(pending, '0123456789');
  stub.store.put('house/direct/not-ours', Buffer.alloc(1), 'x/y');
  await service.sweep(SIGNAL);
  expect(house.names()).toEqual([expect.stringContaining(pending.id), 'house/direct/not-ours']);
});

test('an upload that cannot be ended now does not keep the others waiting', async () => {
  const { ownerId, clock, service, stub, database, log } = house;
  await service.begin(ownerId, { name: 'stuck', size: 200 * MIB });
  await service.begin(ownerId, { name: 'behind', size: 10 });
  clock.turn(26 * HOUR);
  stub.fail('AbortMultipartUpload', { kind: 'status', status: 403, code: 'AccessDenied' }, 100);
  await service.sweep(SIGNAL);
  const rows = await database.read.select().from(directUploads);
  expect(rows.map(({ name }) => name)).toEqual(['stuck']);
  expect(log.lines.map(({ message }) => message)).toContain('a direct upload that is over could not be ended yet');
  stub.clearFaults();
  await service.sweep(SIGNAL);
  expect(await database.read.select().from(directUploads)).toEqual([]);
});

test('a completion whose commit lands although its answer was lost keeps its bytes, though reads are behind', async () => {
  const { ownerId, service, state, store, database, clock } = house;
  state.admit = async ({ files, visibility }) => {
    const times = { createdAt: clock.now(), updatedAt: clock.now() };
    await database.write(async (tx) => {
      for (const file of files) await fileStore.insert(tx, { ...file, ownerId, visibility, thumbhash: '', ...times });
    });
    state.isBehind = true;
    throw databaseProblems.create('unknown-outcome');
  };
  const whole = await service.begin(ownerId, { name: 'a', size: 10 });
  await put(whole, '0123456789');
  const file = await service.complete(ownerId, whole.id);
  expect((await store.get(file.objectKey))?.size).toBe(10);
});

test('the search deletes nothing that a read does not show yet', async () => {
  const { ownerId, service, state } = house;
  const ticket = await service.begin(ownerId, { name: 'a', size: 10 });
  await put(ticket, '0123456789');
  state.isBehind = true;
  await service.sweep(SIGNAL);
  expect(house.names()).toHaveLength(1);
});
