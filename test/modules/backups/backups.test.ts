import { afterEach, describe, expect, test } from 'bun:test';
import { eq } from 'drizzle-orm';
import { users } from '../../../src/db/schema/auth.ts';
import { backupFiles, backups as table } from '../../../src/db/schema/backups.ts';
import { uuidv7 } from '../../../src/kernel/ids.ts';
import { backupProblems } from '../../../src/modules/backups/index.ts';
import { eventually } from '../../support/eventually.ts';
import { ARCHIVE_FILE, type BackupAnswer, type Caller, type OpenOptions, openBackups, sha256 } from './house.ts';

type House = Awaited<ReturnType<typeof openBackups>>;
let house: House;
const open = async (options?: OpenOptions) => {
  house = await openBackups(options);
};
afterEach(async () => {
  expect(house.faults).toEqual([]);
  await house[Symbol.asyncDispose]();
});

const make = (person: Caller, scope: 'user' | 'system', note?: string) =>
  house.json(person, 'POST', '', { scope, ...(note === undefined ? {} : { note }) });
const ended = async (person: Caller, id: string): Promise<BackupAnswer> => {
  let backup = await house.json(person, 'GET', `/${id}`);
  await eventually(async () => {
    backup = await house.json(person, 'GET', `/${id}`);
    return backup.status === 'done' || backup.status === 'failed';
  });
  return backup;
};
const made = async (person: Caller, scope: 'user' | 'system') => ended(person, (await make(person, scope)).id);
const listed = async (person: Caller) =>
  ((await (await house.request(person, 'GET', '')).json()) as { items: BackupAnswer[] }).items;

describe('making backups', () => {
  test('answers at once and is done a while later, with progress told to its owner', async () => {
    await open();
    const [first, second] = [uuidv7(), uuidv7()];
    house.repository.live.set(house.ids.alice, new Map(Object.entries({ [first]: 'one', [second]: 'two' })));
    const response = await house.request('alice', 'POST', '', { scope: 'user', note: 'mine' });
    expect(response.status).toBe(202);
    const queued = (await response.json()) as BackupAnswer;
    expect(queued).toMatchObject({ scope: 'user', status: 'queued', progress: 0, note: 'mine', isKept: false });
    const backup = await ended('alice', queued.id);
    expect(backup).toMatchObject({ status: 'done', progress: 1, isKept: true, fileCount: 2, failure: null });
    expect(backup.verification).toMatchObject({ isGood: true, kind: 'write' });
    const files = (await (await house.request('alice', 'GET', `/${queued.id}/files`)).json()) as {
      items: { id: string; name: string; size: number }[];
    };
    expect(files.items.map(({ id }) => id).sort()).toEqual([first, second].sort());
    const told = house.told.filter(({ event }) => 'backupId' in event && event.backupId === queued.id);
    expect(told.map(({ name }) => name)).toContain('backups/progress');
    expect(told.at(-1)).toMatchObject({
      name: 'backups/finished',
      event: { userId: house.ids.alice, status: 'done', operation: 'create', progress: 1 },
    });
  });

  test.each<[Caller | null, string, unknown, number]>([
    [null, 'user', undefined, 401],
    ['alice', 'system', undefined, 403],
    ['server', 'user', undefined, 403],
    ['server', 'system', undefined, 202],
    ['alice', 'everything', undefined, 422],
    ['alice', 'user', 'x'.repeat(501), 422],
  ])('by %p of scope %p is answered as it should', async (person, scope, note, status) => {
    await open();
    expect((await house.request(person, 'POST', '', { scope, note })).status).toBe(status);
  });

  test('is refused while enough of the same is in progress, or when enough are kept', async () => {
    await open();
    const gate = Promise.withResolvers<void>();
    house.repository.holdUp(gate.promise);
    await make('root', 'system');
    expect((await make('root', 'system')).code).toBe('backups/in-progress');
    const first = await make('alice', 'user');
    const second = await make('alice', 'user');
    expect((await make('alice', 'user')).code).toBe('backups/in-progress');
    gate.resolve();
    for (const { id } of [first, second]) await ended('alice', id);
    for (let count = 2; count < 20; count++) await made('alice', 'user');
    expect((await make('alice', 'user')).code).toBe('backups/too-many');
    expect((await made('bob', 'user')).status).toBe('done');
  });

  test('says by which problem it failed, tells operators of a system backup, and the next one works', async () => {
    await open();
    house.repository.breakWith(new Error('secret detail'));
    const backup = await made('root', 'system');
    expect(backup).toMatchObject({ status: 'failed', isKept: false, failure: { code: 'server/internal' } });
    expect(JSON.stringify(backup)).not.toContain('secret detail');
    expect(house.told).toContainEqual(expect.objectContaining({ name: 'alerts/raised' }));
    house.repository.breakWith(null);
    expect((await made('root', 'system')).status).toBe('done');
    expect((await house.json('root', 'POST', `/${backup.id}/verify`)).code).toBe('backups/not-kept');
  });
});

describe('who sees which', () => {
  test('a user their own, an admin those of the system beside, and nobody somebody else’s', async () => {
    await open();
    const mine = await made('alice', 'user');
    const system = await made('root', 'system');
    expect((await listed('alice')).map(({ id }) => id)).toEqual([mine.id]);
    expect((await listed('root')).map(({ id }) => id)).toEqual([system.id]);
    expect(await listed('bob')).toEqual([]);
    for (const [person, id] of [
      ['bob', mine.id],
      ['root', mine.id],
      ['alice', system.id],
      ['alice', uuidv7()],
    ] as const) {
      for (const [method, path] of [
        ['GET', ''],
        ['GET', '/files'],
        ['GET', '/download'],
        ['POST', '/verify'],
        ['POST', '/restore'],
        ['DELETE', ''],
      ] as const) {
        expect((await house.request(person, method, `/${id}${path}`)).status).toBe(404);
      }
    }
    expect(house.repository.kept.size).toBe(2);
  });

  test('pages through the list', async () => {
    await open();
    const ids = [await made('alice', 'user'), await made('alice', 'user'), await made('alice', 'user')].map(
      ({ id }) => id,
    );
    const page = (await (await house.request('alice', 'GET', '?limit=2')).json()) as {
      items: BackupAnswer[];
      nextCursor: string;
    };
    const rest = (await (
      await house.request('alice', 'GET', `?limit=2&cursor=${page.nextCursor}`)
    ).json()) as typeof page;
    expect([...page.items, ...rest.items].map(({ id }) => id)).toEqual(ids.reverse());
    expect(rest.nextCursor).toBeNull();
  });
});

describe('what can be done with one', () => {
  test('a user’s is restored: all of it, or the files that were asked for', async () => {
    await open();
    const [first, second] = [uuidv7(), uuidv7()];
    house.repository.live.set(house.ids.alice, new Map(Object.entries({ [first]: 'one', [second]: 'two' })));
    const { id } = await made('alice', 'user');
    expect(await house.json('alice', 'POST', `/${id}/restore`, { files: [second] })).toMatchObject({
      id,
      operation: 'restore',
      status: 'queued',
    });
    expect(await ended('alice', id)).toMatchObject({ operation: 'restore', status: 'done', restartRequired: false });
    expect(house.putBack).toMatchObject([{ ownerId: house.ids.alice, file: { id: second }, content: 'two' }]);
    await house.json('alice', 'POST', `/${id}/restore`);
    await ended('alice', id);
    expect(house.putBack.length).toBe(3);
    expect((await house.json('alice', 'POST', `/${id}/restore`, { files: [uuidv7()] })).code).toBe(
      'backups/unknown-files',
    );
    expect((await house.request('alice', 'POST', `/${id}/restore`, { files: [] })).status).toBe(422);
  });

  test('of a user’s that was found in the repository single files are restored, and unknown ones are refused', async () => {
    await open();
    const ids = [uuidv7(), uuidv7()] as const;
    house.repository.live.set(house.ids.alice, new Map(ids.map((id) => [id, `content of ${id}`])));
    const { id } = await made('alice', 'user');
    await house.database.write((tx) => tx.delete(backupFiles));
    await house.json('alice', 'POST', `/${id}/restore`, { files: [ids[0], uuidv7()] });
    expect(await ended('alice', id)).toMatchObject({ status: 'failed', failure: { code: 'backups/unknown-files' } });
    expect(house.putBack).toEqual([]);
    await house.json('alice', 'POST', `/${id}/restore`, { files: [ids[1]] });
    expect(await ended('alice', id)).toMatchObject({ operation: 'restore', status: 'done' });
    expect(house.putBack).toMatchObject([{ content: `content of ${ids[1]}` }]);
  });

  test('a user’s is restored past large files that are there as they were', async () => {
    await open();
    const ids = [uuidv7(), uuidv7(), uuidv7()];
    const contents = ['a'.repeat(300_000), 'gone', 'b'.repeat(3_000_000)];
    house.repository.live.set(house.ids.alice, new Map(ids.map((id, index) => [id, contents[index] as string])));
    for (const content of [contents[0], contents[2]]) house.repository.present.add(sha256(content as string));
    const { id } = await made('alice', 'user');
    await house.json('alice', 'POST', `/${id}/restore`);
    expect(await ended('alice', id)).toMatchObject({ operation: 'restore', status: 'done' });
    expect(house.putBack).toMatchObject([{ content: 'gone' }]);
  });

  test('one of the system is made ready for the next start', async () => {
    await open();
    const { id } = await made('root', 'system');
    await house.json('root', 'POST', `/${id}/restore`);
    expect(await ended('root', id)).toMatchObject({ operation: 'restore', status: 'done', restartRequired: true });
    expect(house.repository.calls).toContain(`restore ${id}`);
  });

  test('it is verified, and damage makes that fail while the backup stays', async () => {
    await open();
    const { id } = await made('root', 'system');
    await house.json('root', 'POST', `/${id}/verify`, { level: 'test-restore' });
    expect(await ended('root', id)).toMatchObject({ status: 'done', testRestore: { isGood: true } });
    house.repository.find({ isGood: false, findings: ['blobs/ab is not what it was'] });
    await house.json('root', 'POST', `/${id}/verify`);
    expect(await ended('root', id)).toMatchObject({
      status: 'failed',
      isKept: true,
      failure: { code: 'backups/damaged', detail: 'blobs/ab is not what it was' },
      verification: { isGood: false, kind: 'full' },
    });
  });

  test('a user’s is not restored for a test, and its damage names nobody else’s', async () => {
    await open();
    const { id } = await made('alice', 'user');
    expect((await house.request('alice', 'POST', `/${id}/verify`, { level: 'test-restore' })).status).toBe(422);
    house.repository.find({ isGood: false, findings: ['it hurts the backups of bob'] });
    await house.json('alice', 'POST', `/${id}/verify`);
    const found = await ended('alice', id);
    expect(found).toMatchObject({ status: 'failed', failure: { code: 'backups/damaged' } });
    expect(JSON.stringify(found)).not.toContain('bob');
    house.repository.breakWith(backupProblems.create('busy', { detail: 'machine-7 (process 5) works on it' }));
    await house.json('alice', 'POST', `/${id}/verify`);
    const busy = await ended('alice', id);
    expect(busy).toMatchObject({ status: 'failed', failure: { code: 'backups/busy' } });
    expect(JSON.stringify(busy)).not.toContain('machine-7');
  });

  test('what is the system’s goes before what users asked for', async () => {
    await open();
    const gate = Promise.withResolvers<void>();
    house.repository.holdUp(gate.promise);
    await make('bob', 'user');
    await eventually(() => house.repository.calls.includes('create user'));
    const last = await make('alice', 'user');
    await make('root', 'system');
    gate.resolve();
    await ended('alice', last.id);
    const created = house.repository.calls.filter((call) => call.startsWith('create'));
    expect(created).toEqual(['create user', 'create system', 'create user']);
  });

  test('a user’s is downloaded as a tar', async () => {
    await open();
    const file = uuidv7();
    house.repository.live.set(house.ids.alice, new Map([[file, 'one']]));
    const { id } = await made('alice', 'user');
    const response = await house.request('alice', 'GET', `/${id}/download`);
    expect(response.headers.get('content-type')).toBe('application/x-tar');
    expect(response.headers.get('content-disposition')).toMatch(
      /^attachment; filename="user-backup-\d{4}-\d\d-\d\d\.tar"$/,
    );
    const files = await new Bun.Archive(await response.blob()).files();
    expect([...files.keys()]).toEqual(['bunkhouse-backup.json', `files/${file}/${file}.txt`]);
    expect(await files.get(`files/${file}/${file}.txt`)?.text()).toBe('one');
  });

  test('an uploaded archive becomes one, whose files have no old ids here', async () => {
    await open();
    house.repository.live.set(house.ids.alice, new Map([[uuidv7(), 'one']]));
    const taken = await house.json('alice', 'POST', '/import', { fileId: ARCHIVE_FILE });
    expect(await ended('alice', taken.id)).toMatchObject({ operation: 'import', status: 'done', isKept: true });
    expect(house.repository.calls).toContain('import files/x');
    await house.json('alice', 'POST', `/${taken.id}/restore`);
    await ended('alice', taken.id);
    expect(house.putBack).toMatchObject([{ file: { id: null }, content: 'one' }]);
    expect((await house.json('bob', 'POST', '/import', { fileId: ARCHIVE_FILE })).code).toBe('backups/no-archive');
  });

  test('it is deleted, in the repository too; not while it is worked on, nor the last good one of the system', async () => {
    await open();
    const mine = await made('alice', 'user');
    const gate = Promise.withResolvers<void>();
    house.repository.holdUp(gate.promise);
    await house.json('alice', 'POST', `/${mine.id}/verify`);
    await eventually(() => house.repository.calls.includes('verify full'));
    expect((await house.json('alice', 'DELETE', `/${mine.id}`)).code).toBe('backups/in-progress');
    gate.resolve();
    await ended('alice', mine.id);
    expect((await house.request('alice', 'DELETE', `/${mine.id}`)).status).toBe(204);
    await eventually(() => !house.repository.kept.has(mine.id));

    const older = await made('root', 'system');
    const newer = await made('root', 'system');
    expect((await house.json('root', 'DELETE', `/${newer.id}`)).code).toBe('backups/last-good');
    expect((await house.request('root', 'DELETE', `/${older.id}`)).status).toBe(204);
    await eventually(() => !house.repository.kept.has(older.id));
  });

  test('it goes with its owner’s account; one of the system stays when who asked for it goes', async () => {
    await open();
    const mine = await made('alice', 'user');
    const system = await made('root', 'system');
    await house.database.write(async (tx) => {
      await tx.delete(users).where(eq(users.id, house.ids.alice));
      await tx.delete(users).where(eq(users.id, house.ids.root));
    });
    house.events.emit('users/deleted', { userId: house.ids.alice });
    await eventually(() => !house.repository.kept.has(mine.id));
    expect(house.repository.kept.has(system.id)).toBe(true);
  });
});

describe('another process', () => {
  test('goes on with what one left that stopped in between', async () => {
    await open();
    const never = Promise.withResolvers<void>();
    house.repository.holdUp(never.promise);
    const { id } = await make('alice', 'user');
    await eventually(() => house.repository.calls.includes('create user'));
    await house.module.stop();
    const row = await house.database.read.select().from(table).where(eq(table.id, id)).get();
    expect(row).toMatchObject({ status: 'running', attempts: 0 });
    house.repository.holdUp(Promise.resolve());
    const next = await openBackups(house);
    await eventually(async () => (await next.json('alice', 'GET', `/${id}`)).status === 'done');
    await next.stop();
  });

  test('lists what the repository has, forgets what it has not, and gives up on what kills every process', async () => {
    await open();
    const gone = await made('root', 'system');
    house.repository.kept.delete(gone.id);
    const found = {
      id: uuidv7(),
      scope: 'system',
      userId: null,
      note: '',
      createdAt: 5,
      bytes: 7,
      fileCount: 1,
      isImported: false,
    } as const;
    const strangers = { ...found, id: uuidv7(), scope: 'user', userId: uuidv7() } as const;
    house.repository.kept.set(found.id, found);
    house.repository.kept.set(strangers.id, strangers);
    const deadly = uuidv7();
    await house.database.write((tx) =>
      tx.insert(table).values({ id: deadly, scope: 'system', status: 'running', attempts: 3, createdAt: 1 }),
    );
    await house.module.stop();
    const next = await openBackups(house);
    await eventually(async () => (await next.json('root', 'GET', `/${found.id}`)).isKept);
    await eventually(async () => (await next.request('root', 'GET', `/${gone.id}`)).status === 404);
    expect(await next.json('root', 'GET', `/${deadly}`)).toMatchObject({
      status: 'failed',
      failure: { code: 'backups/interrupted' },
    });
    expect(house.repository.kept.has(strangers.id)).toBe(true);
    await next.stop();
  });
});

describe('what operators see', () => {
  test('metrics and the check tell of the newest', async () => {
    await open({ schedule: '0 3 * * *' });
    const run = () => house.module.checks[0]?.run();
    expect(await run()).toMatchObject({ status: 'ok' });
    const { id } = await made('root', 'system');
    house.repository.find({ isGood: false, findings: ['it does not start'] });
    await house.json('root', 'POST', `/${id}/verify`, { level: 'test-restore' });
    await ended('root', id);
    await eventually(async () => (await run())?.status === 'degraded');
    const text = house.metrics.render();
    expect(text).toMatch(/bunkhouse_backup_last_good_timestamp_seconds \d{10}/);
    expect(text).toContain('bunkhouse_backup_test_restore_good 0');
    expect(text).toContain(
      'bunkhouse_backup_duration_seconds_count{operation="create",status="done",scope="system"} 1',
    );
  });
});
