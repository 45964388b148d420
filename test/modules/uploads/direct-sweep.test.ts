import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import { users } from '../../../src/db/schema/auth.ts';
import { s3Stores } from '../../../src/drivers/s3-stores.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import { databaseProblems } from '../../../src/kernel/problems.ts';
import type { Admit } from '../../../src/modules/uploads/admission.ts';
import { createDirectService } from '../../../src/modules/uploads/direct-service.ts';
import { createQuota } from '../../../src/modules/uploads/quota.ts';
import { fileStore } from '../../../src/modules/uploads/store.ts';
import type { Database } from '../../../src/ports/database.ts';
import { failureOf } from '../../contracts/object-store.ts';
import { fakeClock, recordingLog } from '../../support/fakes.ts';
import { startS3Stub } from '../../support/s3-stub.ts';

const HOUR = 3_600_000;
const MIB = 2 ** 20;

/** The service on a bucket of its own, with one account. */
async function openDirect(options: { readonly userQuotaBytes?: number; readonly admit: Admit }) {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-direct-'));
  const plain = await openEmbeddedDatabase({ name: 'main', path: join(directory, 'main.db') });
  const empty = await openEmbeddedDatabase({ name: 'empty', path: join(directory, 'empty.db') });
  const stub = await startS3Stub();
  await migrate(plain, loadMigrations());
  await migrate(empty, loadMigrations());
  const ownerId = uuidv7();
  const account = { id: ownerId, email: 'ann@example.org', role: 'user', passwordHash: '' } as const;
  await plain.write((tx) => tx.insert(users).values({ ...account, createdAt: 0, updatedAt: 0 }));
  const state = { wakes: 0, isBehind: false };
  const database: Database = {
    ...plain,
    get read() {
      return state.isBehind ? empty.read : plain.read;
    },
  };
  const [clock, log] = [fakeClock(), recordingLog()];
  const { userQuotaBytes = 0, admit } = options;
  const quota = createQuota(userQuotaBytes, clock);
  const { objects: store } = s3Stores({ ...stub.options, prefix: 'house', log });
  const service = createDirectService({
    ...{ database, store, clock, log, quota, admit },
    limits: { maxFileBytes: 0, userQuotaBytes, userMaxFiles: 0, types: [] },
    onDoomed: () => void state.wakes++,
  });
  return {
    ...{ database: plain, stub, ownerId, state, clock, quota, store, service },
    async [Symbol.asyncDispose]() {
      await stub.stop();
      await plain.close();
      await empty.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

test('what was begun and never completed is gone two hours after it could be sent, in one piece or in parts', async () => {
  const admit = () => Promise.reject(new Error('nothing is admitted here'));
  await using direct = await openDirect({ userQuotaBytes: 1000 * MIB, admit });
  const { database, stub, ownerId, state, clock, quota, service } = direct;
  const whole = await service.begin(ownerId, { name: 'a', size: 10 });
  await service.begin(ownerId, { name: 'b', size: 500 * MIB });
  if (!('url' in whole)) throw new Error('a small content is sent in one piece');
  expect((await fetch(whole.url, { method: 'PUT', headers: whole.headers, body: '0123456789' })).status).toBe(200);
  expect(await quota.left(database.read, ownerId)).toBe(500 * MIB - 10);
  const signal = new AbortController().signal;
  const kept = () => stub.store.everything().map((name) => name.replace(/house\/.*/, 'it'));

  clock.turn(HOUR - 1);
  await service.sweep(signal);
  expect([kept(), state.wakes]).toEqual([['it', 'upload of it'], 0]);
  clock.turn(HOUR + 2);
  await service.sweep(signal);
  // The object is doomed with its row; the reaper deletes it.
  const doomed = await fileStore.doomed(database.read, 10, '');
  expect([doomed.length, state.wakes]).toEqual([1, 1]);
  expect(await failureOf(service.complete(ownerId, whole.id))).toMatchObject({ code: 'uploads/direct-not-found' });
  clock.turn(24 * HOUR);
  await service.sweep(signal);
  expect(kept()).toEqual(['it']);
  expect(await quota.left(database.read, ownerId)).toBe(1000 * MIB);
});

test('a completion whose commit lands although its answer was lost keeps its bytes, though reads are behind', async () => {
  await using direct = await openDirect({
    async admit({ files, ownerId, visibility }) {
      const times = { createdAt: direct.clock.now(), updatedAt: direct.clock.now() };
      await direct.database.write(async (tx) => {
        for (const file of files) await fileStore.insert(tx, { ...file, ownerId, visibility, thumbhash: '', ...times });
      });
      direct.state.isBehind = true;
      throw databaseProblems.create('unknown-outcome');
    },
  });
  const { ownerId, service, store } = direct;
  const whole = await service.begin(ownerId, { name: 'a', size: 10 });
  if (!('url' in whole)) throw new Error('a small content is sent in one piece');
  await fetch(whole.url, { method: 'PUT', headers: whole.headers, body: '0123456789' });
  const file = await service.complete(ownerId, whole.id);
  expect((await store.get(file.objectKey))?.size).toBe(10);
});
