import { describe, expect, test } from 'bun:test';
import { databaseLeases } from '../../../src/db/leases.ts';
import { doomedObjects } from '../../../src/db/schema/uploads.ts';
import { isBackupUnderWay } from '../../../src/modules/backups/creation-lease.ts';
import { createReaper } from '../../../src/modules/uploads/reaper.ts';
import { systemClock } from '../../../src/ports/clock.ts';
import type { ObjectStore } from '../../../src/ports/object-store.ts';
import { from } from '../../contracts/object-store.ts';
import { eventually } from '../../support/eventually.ts';
import { fakeClock } from '../../support/fakes.ts';
import { halves } from '../../support/pictures.ts';
import { openUploads } from './support.ts';

type Uploads = Awaited<ReturnType<typeof openUploads>>;
const isHeldBack = async () => false;

describe('the reaper', () => {
  test('deletes the bytes of a user who was deleted', async () => {
    await using uploads = await openUploads();
    await uploads.upload('alice', 'a', 'x');
    await uploads.upload('alice', 'b', 'x');
    const kept = await uploads.upload('bob', 'c', 'x');
    await uploads.deleteUser('alice');
    uploads.events.emit('users/deleted', { userId: uploads.ids.alice });
    await eventually(async () => (await uploads.filesOnDisk()).length === 1);
    expect(await (await uploads.request('bob', 'GET', kept.url)).text()).toBe('x');
    await eventually(async () => (await uploads.database.read.select().from(doomedObjects)).length === 0);
  });

  test('deletes more than one batch, what was doomed before it started included', async () => {
    await using uploads = await openUploads();
    const keys = Array.from({ length: 250 }, (_, index) => `files/old/${index}`);
    await uploads.database.write((tx) => tx.insert(doomedObjects).values(keys.map((objectKey) => ({ objectKey }))));
    await uploads.store.put('files/old/7', from([Buffer.from('x')]));
    const { database, store, log } = uploads;
    const reaper = createReaper({ database, store, log, sweep: async () => undefined, isHeldBack });
    await reaper.recover();
    await eventually(async () => (await database.read.select().from(doomedObjects)).length === 0);
    expect(await uploads.filesOnDisk()).toEqual([]);
    await reaper.stop();
  });

  test('goes on past an object that cannot be deleted, and keeps it for later', async () => {
    await using uploads = await openUploads();
    const { database, log } = uploads;
    const store: ObjectStore = {
      ...uploads.store,
      delete: (key) => (key.endsWith('/2') ? Promise.reject(new Error('in use')) : uploads.store.delete(key)),
    };
    const reaper = createReaper({ database, store, log, sweep: async () => undefined, isHeldBack });
    const doom = (...keys: string[]) =>
      database.write((tx) => tx.insert(doomedObjects).values(keys.map((objectKey) => ({ objectKey }))));
    await doom('files/x/1', 'files/x/2', 'files/x/3');
    reaper.wake();
    await eventually(async () => (await database.read.select().from(doomedObjects)).length === 1);
    await reaper.stop();
    expect(await database.read.select().from(doomedObjects)).toEqual([{ objectKey: 'files/x/2' }]);
    expect(log.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', message: 'an object could not be deleted' }),
    );
  });

  test('settles what an earlier run left with a row and deletes what it left without one', async () => {
    await using uploads = await openUploads();
    const { id } = await uploads.upload('alice', 'a', 'x');
    const [withRow] = (await uploads.database.read.values<[string]>('SELECT object_key FROM files' as never)) as [
      [string],
    ];
    const settled: string[] = [];
    const deleted: string[] = [];
    const store: ObjectStore = {
      ...uploads.store,
      async *unsettled() {
        yield withRow[0];
        yield 'files/none/1';
      },
      settle: async (key) => void settled.push(key),
      delete: async (key) => void deleted.push(key),
    };
    const reaper = createReaper({
      database: uploads.database,
      store,
      log: uploads.log,
      sweep: async () => undefined,
      isHeldBack,
    });
    await reaper.recover();
    await reaper.stop();
    expect(withRow[0]).toContain(id);
    expect([settled, deleted]).toEqual([[withRow[0]], ['files/none/1']]);
  });

  test('asks the primary before it deletes what a read does not know', async () => {
    await using uploads = await openUploads();
    await using stale = await openUploads();
    const { url } = await uploads.upload('alice', 'a', 'x');
    const keys = await Array.fromAsync(uploads.store.list('files/'));
    const store: ObjectStore = {
      ...uploads.store,
      async *unsettled() {
        yield* keys;
      },
    };
    const database = { ...uploads.database, read: stale.database.read };
    const reaper = createReaper({ database, store, log: uploads.log, sweep: async () => undefined, isHeldBack });
    await reaper.recover();
    await reaper.stop();
    expect(keys).toHaveLength(1);
    expect((await uploads.request('alice', 'GET', url)).status).toBe(200);
  });

  test('settles the picture of a file that an earlier run left with a row', async () => {
    await using uploads = await openUploads();
    const { id } = await uploads.upload('alice', 'a', halves(16, 8));
    expect((await uploads.request('alice', 'GET', `/api/files/${id}/image`)).status).toBe(200);
    const keys = await Array.fromAsync(uploads.store.list('variants/'));
    expect(keys).toHaveLength(1);
    const store: ObjectStore = {
      ...uploads.store,
      async *unsettled() {
        yield* keys;
      },
    };
    const reaper = createReaper({
      database: uploads.database,
      store,
      log: uploads.log,
      sweep: async () => undefined,
      isHeldBack,
    });
    await reaper.recover();
    await reaper.stop();
    expect(await Array.fromAsync(uploads.store.list('variants/'))).toEqual(keys);
  });

  test('does not keep the server from starting when the store is out of reach', async () => {
    await using uploads = await openUploads();
    const store: ObjectStore = {
      ...uploads.store,
      async *unsettled() {
        yield* [];
        throw new Error('out of reach');
      },
    };
    const reaper = createReaper({
      database: uploads.database,
      store,
      log: uploads.log,
      sweep: async () => undefined,
      isHeldBack,
    });
    await reaper.recover();
    await reaper.stop();
    expect(uploads.log.lines.some(({ level }) => level === 'error')).toBe(true);
  });
});

test('while a restore waits, what it put there is no leftover', async () => {
  await using uploads = await openUploads();
  const { database, log } = uploads;
  const deleted: string[] = [];
  const store: ObjectStore = {
    ...uploads.store,
    async *unsettled() {
      yield 'files/restored/1';
    },
    delete: async (key) => void deleted.push(key),
  };
  const options = { database, store, log, sweep: async () => undefined };
  const waiting = createReaper({ ...options, isHeldBack: async () => true });
  await waiting.recover();
  await waiting.stop();
  expect(deleted).toEqual([]);
  const given = createReaper({ ...options, isHeldBack });
  await given.recover();
  await given.stop();
  expect(deleted).toEqual(['files/restored/1']);
});

describe('while a backup is taken', () => {
  const doomedKeys = async ({ database }: Uploads) => (await database.read.select().from(doomedObjects)).length;

  test('the reaper deletes nothing, and goes on when it is done', async () => {
    await using uploads = await openUploads();
    const { database, store, log } = uploads;
    const lease = await databaseLeases(database, systemClock).acquire('backups/create', 60_000);
    const { id } = await uploads.upload('alice', 'a', 'x');
    await uploads.request('alice', 'DELETE', `/api/files/${id}`);
    const asked = Promise.withResolvers<void>();
    const reaper = createReaper({
      database,
      store,
      log,
      sweep: async () => undefined,
      isHeldBack: (tx) => isBackupUnderWay(tx, systemClock).finally(asked.resolve),
    });
    reaper.wake();
    await asked.promise;
    await reaper.stop();
    expect([await doomedKeys(uploads), (await uploads.filesOnDisk()).length]).toEqual([1, 1]);

    await lease?.release(true);
    const later = createReaper({ database, store, log, sweep: async () => undefined, isHeldBack });
    later.wake();
    await eventually(async () => (await doomedKeys(uploads)) === 0);
    expect(await uploads.filesOnDisk()).toEqual([]);
    await later.stop();
  });

  test('a lease that its holder let run out counts no more', async () => {
    await using uploads = await openUploads();
    const { database } = uploads;
    const clock = fakeClock();
    await databaseLeases(database, clock).acquire('backups/create', 60_000);
    expect(await isBackupUnderWay(database.read, clock)).toBe(true);
    clock.turn(60_001);
    expect(await isBackupUnderWay(database.read, clock)).toBe(false);
  });

  test('an unsettled object whose row is gone stays as well', async () => {
    await using uploads = await openUploads();
    const { database, log } = uploads;
    const { id } = await uploads.upload('alice', 'a', 'x');
    const keys = await Array.fromAsync(uploads.store.list('files/'));
    await databaseLeases(database, systemClock).acquire('backups/create', 60_000);
    await uploads.request('alice', 'DELETE', `/api/files/${id}`);
    const store: ObjectStore = {
      ...uploads.store,
      async *unsettled() {
        yield* keys;
      },
    };
    const reaper = createReaper({ database, store, log, sweep: async () => undefined, isHeldBack: async () => true });
    await reaper.recover();
    await reaper.stop();
    expect(await Array.fromAsync(uploads.store.list('files/'))).toEqual(keys);
  });
});
