import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedDatabase } from '../../../src/db/embedded.ts';
import { loadMigrations, migrate } from '../../../src/db/migrate.ts';
import { users } from '../../../src/db/schema/auth.ts';
import { s3Stores } from '../../../src/drivers/s3-stores.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import { createDirectService } from '../../../src/modules/uploads/direct-service.ts';
import { createQuota } from '../../../src/modules/uploads/quota.ts';
import { fileStore } from '../../../src/modules/uploads/store.ts';
import { failureOf } from '../../contracts/object-store.ts';
import { fakeClock, recordingLog } from '../../support/fakes.ts';
import { startS3Stub } from '../../support/s3-stub.ts';

const HOUR = 3_600_000;
const MIB = 2 ** 20;

test('what was begun and never completed is gone two hours after it could be sent, in one piece or in parts', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-direct-'));
  const database = await openEmbeddedDatabase({ name: 'main', path: join(directory, 'main.db') });
  const stub = await startS3Stub();
  try {
    await migrate(database, loadMigrations());
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
    let wakes = 0;
    const service = createDirectService({
      ...{ database, store, clock, log, quota },
      limits: { maxFileBytes: 0, userQuotaBytes: 1000 * MIB, userMaxFiles: 0, types: [] },
      admit: () => Promise.reject(new Error('nothing is admitted here')),
      onDoomed: () => void wakes++,
    });
    const whole = await service.begin(ownerId, { name: 'a', size: 10 });
    await service.begin(ownerId, { name: 'b', size: 500 * MIB });
    if (!('url' in whole)) throw new Error('a small content is sent in one piece');
    expect((await fetch(whole.url, { method: 'PUT', headers: whole.headers, body: '0123456789' })).status).toBe(200);
    expect(await quota.left(database.read, ownerId)).toBe(500 * MIB - 10);
    const signal = new AbortController().signal;
    const kept = () => stub.store.everything().map((name) => name.replace(/house\/.*/, 'it'));

    clock.turn(HOUR - 1);
    await service.sweep(signal);
    expect([kept(), wakes]).toEqual([['it', 'upload of it'], 0]);
    clock.turn(HOUR + 2);
    await service.sweep(signal);
    // The object is doomed with its row; the reaper deletes it.
    const doomed = await fileStore.doomed(database.read, 10, '');
    expect([doomed.length, wakes]).toEqual([1, 1]);
    expect(await failureOf(service.complete(ownerId, whole.id))).toMatchObject({ code: 'uploads/direct-not-found' });
    clock.turn(24 * HOUR);
    await service.sweep(signal);
    expect(kept()).toEqual(['it']);
    expect(await quota.left(database.read, ownerId)).toBe(1000 * MIB);
  } finally {
    await stub.stop();
    await database.close();
    await rm(directory, { recursive: true, force: true });
  }
});
