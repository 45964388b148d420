import { afterEach, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isNull } from 'drizzle-orm';
import { resumableUploads } from '../../../src/db/schema/resumable-uploads.ts';
import { quotaReservations } from '../../../src/db/schema/uploads.ts';
import { diskResumableStore } from '../../../src/drivers/disk-resumable-store.ts';
import { databaseProblems } from '../../../src/kernel/problems.ts';
import { uploadProblems } from '../../../src/modules/uploads/problems.ts';
import { createQuota } from '../../../src/modules/uploads/quota.ts';
import { uploadRecords } from '../../../src/modules/uploads/tus-records.ts';
import { createUploadSweep } from '../../../src/modules/uploads/tus-sweep.ts';
import type { Database } from '../../../src/ports/database.ts';
import { bytes } from '../../contracts/object-store.ts';
import { eventually } from '../../support/eventually.ts';
import { statusOf } from '../../support/raw.ts';
import { type FileAnswer, openUploads, type UploadsOptions } from './support.ts';
import { headerOf, OCTETS, tusClient } from './tus-support.ts';

type Uploads = Awaited<ReturnType<typeof openUploads>>;
let uploads: Uploads;
let alice: ReturnType<typeof tusClient>;
async function open(options: UploadsOptions = {}): Promise<Uploads> {
  uploads = await openUploads(options);
  alice = tusClient(uploads);
  return uploads;
}
afterEach(async () => {
  expect(uploads.faults).toEqual([]);
  await uploads[Symbol.asyncDispose]();
});

const KIB = 1024;
const rows = () => uploads.database.read.select().from(resumableUploads);
const reservations = () => uploads.database.read.select().from(quotaReservations);
const files = async () =>
  ((await (await uploads.request('alice', 'GET', '/api/files')).json()) as { items: FileAnswer[] }).items;
const codeOf = async (response: Response) => ((await response.json()) as { code?: string }).code;
const sha256 = (content: Uint8Array) => createHash('sha256').update(content).digest('hex');
/** Waits until the store has so much of an upload, without asking anybody to stop. */
const arrived = async (size: number): Promise<void> => {
  const store = diskResumableStore({ root: uploads.objectsRoot });
  await eventually(async () => (await store.size((await rows())[0]?.handle ?? '')) === size);
};

describe('a client that goes away', () => {
  test('finds what had arrived, and goes on from there', async () => {
    await open();
    const content = bytes(300 * KIB, 1);
    const path = await alice.create(content.length);
    const connection = await alice.begin(path, 0, content.length);
    connection.write(content.subarray(0, 100 * KIB));
    await arrived(100 * KIB);
    connection.close();
    await eventually(async () => (await rows())[0]?.holder === null);
    expect(await alice.head(path)).toEqual([200, 100 * KIB]);
    expect((await alice.patch(path, 100 * KIB, content.subarray(100 * KIB))).status).toBe(204);
    expect((await files()).map(({ sha256: hash }) => hash)).toEqual([sha256(content)]);
    expect(await uploads.filesOnDisk()).toHaveLength(1);
  });

  test('has lost the bytes of a checksum that never came to its end', async () => {
    await open();
    const path = await alice.create(300 * KIB);
    await alice.patch(path, 0, bytes(KIB));
    const connection = await alice.begin(path, KIB, 200 * KIB, {
      'upload-checksum': 'sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=',
    });
    connection.write(bytes(100 * KIB));
    await connection.until(/^$/);
    connection.close();
    await eventually(async () => (await rows())[0]?.holder === null);
    expect(await alice.head(path)).toEqual([200, KIB]);
  });

  test('is not waited for: a HEAD ends its silent request and gets the offset', async () => {
    await open();
    const content = bytes(200 * KIB, 2);
    const path = await alice.create(content.length);
    const zombie = await alice.begin(path, 0, content.length);
    zombie.write(content.subarray(0, 70 * KIB));
    await arrived(70 * KIB);
    const started = performance.now();
    expect(await alice.head(path)).toEqual([200, 70 * KIB]);
    expect(performance.now() - started).toBeLessThan(2000);
    const answer = await zombie.closed;
    expect([statusOf(answer), headerOf(answer, 'upload-offset')]).toEqual([204, String(70 * KIB)]);
    expect((await alice.patch(path, 70 * KIB, content.subarray(70 * KIB))).status).toBe(204);
    expect((await files())[0]?.sha256).toBe(sha256(content));
  });

  test('that was stopped in a checked chunk is told so, and nothing of it is kept', async () => {
    await open();
    const path = await alice.create(200 * KIB);
    const zombie = await alice.begin(path, 0, 200 * KIB, { 'upload-checksum': 'sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=' });
    zombie.write(bytes(70 * KIB));
    await eventually(async () => (await rows())[0]?.holder !== null);
    expect(await alice.head(path)).toEqual([200, 0]);
    expect(statusOf(await zombie.closed)).toBe(423);
  });
});

describe('two writers at once', () => {
  test('in one process: the newcomer stops the first, and the file has the bytes of one', async () => {
    await open();
    const content = bytes(400 * KIB, 3);
    const path = await alice.create(content.length);
    const first = await alice.begin(path, 0, content.length);
    first.write(content.subarray(0, 150 * KIB));
    await arrived(150 * KIB);
    const second = await alice.patch(path, 0, bytes(400 * KIB, 9));
    expect([second.status, await codeOf(second)]).toEqual([409, 'storage/wrong-offset']);
    expect(headerOf(await first.closed, 'upload-offset')).toBe(String(150 * KIB));
    expect((await alice.patch(path, 150 * KIB, content.subarray(150 * KIB))).status).toBe(204);
    expect((await files())[0]?.sha256).toBe(sha256(content));
  });

  test('many at once: each byte is taken from exactly one', async () => {
    await open();
    const path = await alice.create(64 * KIB);
    const contents = Array.from({ length: 12 }, (_, seed) => bytes(64 * KIB, seed));
    const answers = await Promise.all(contents.map((content) => alice.patch(path, 0, content)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 204)).toHaveLength(1);
    expect(statuses.filter((status) => status !== 204 && status !== 409 && status !== 423)).toEqual([]);
    const [file] = await files();
    expect(contents.map(sha256)).toContain(file?.sha256 as string);
  });

  test('in two processes: the newcomer has the first stopped, and reads its offset', async () => {
    await open();
    const there = tusClient(uploads, 'alice', await uploads.openBeside());
    const content = bytes(300 * KIB, 4);
    const path = await alice.create(content.length);
    const zombie = await alice.begin(path, 0, content.length);
    zombie.write(content.subarray(0, 90 * KIB));
    await arrived(90 * KIB);
    expect(await there.head(path)).toEqual([200, 90 * KIB]);
    expect(headerOf(await zombie.closed, 'upload-offset')).toBe(String(90 * KIB));

    const again = await alice.begin(path, 90 * KIB, 210 * KIB);
    again.write(content.subarray(90 * KIB, 100 * KIB));
    await arrived(100 * KIB);
    expect((await there.patch(path, 90 * KIB, content.subarray(90 * KIB))).status).toBe(409);
    expect((await there.patch(path, 100 * KIB, content.subarray(100 * KIB))).status).toBe(204);
    expect((await files())[0]?.sha256).toBe(sha256(content));
  });

  test('the lock of a process that died is taken over at once', async () => {
    await open();
    const there = tusClient(uploads, 'alice', await uploads.openBeside({ isDead: (holder) => holder === 'killed' }));
    const path = await alice.create(10);
    await alice.patch(path, 0, 'hello');
    await uploads.database.write((tx) =>
      tx.update(resumableUploads).set({ holder: 'killed', heldUntil: Date.now() + 600_000 }),
    );
    expect(await there.head(path)).toEqual([200, 5]);
    expect((await there.patch(path, 5, 'world')).status).toBe(204);
  });

  test('a holder that cannot be reached keeps the lock until it ends; reading goes on', async () => {
    await open();
    const path = await alice.create(10);
    await alice.patch(path, 0, 'hello');
    await uploads.database.write((tx) =>
      tx.update(resumableUploads).set({ holder: 'far away', heldUntil: Date.now() + 7000 }),
    );
    expect(await alice.head(path)).toEqual([200, 5]);
    expect((await alice.patch(path, 5, 'world')).status).toBe(204);
  }, 20_000);

  test('a writer whose lock was taken over makes no file any more', async () => {
    await open();
    const path = await alice.create(100);
    const late = await alice.begin(path, 0, 100);
    late.write(bytes(50));
    await arrived(50);
    await uploads.database.write((tx) =>
      tx.update(resumableUploads).set({ holder: 'a new one', heldUntil: Date.now() + 600, fence: 99 }),
    );
    late.write(bytes(50));
    expect(statusOf(await late.until(/\r\n\r\n/))).toBe(423);
    expect(await files()).toEqual([]);
    late.close();
    // All bytes are there; whoever asks next finishes it.
    expect(await alice.head(path)).toEqual([200, 100]);
    expect(await files()).toHaveLength(1);
  });
});

describe('slow and silent clients', () => {
  test('a byte now and then is enough, however long the whole takes', async () => {
    await open({ tus: { stallMs: 400 } });
    const path = await alice.create(12);
    const slow = await alice.begin(path, 0, 12);
    for (const letter of 'hello world!') {
      slow.write(letter);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(statusOf(await slow.until(/\r\n\r\n/))).toBe(204);
    slow.close();
    expect((await files())[0]?.size).toBe(12);
  });

  test('silence ends the request, and what had arrived is kept', async () => {
    await open({ tus: { stallMs: 200 } });
    const path = await alice.create(100);
    const silent = await alice.begin(path, 0, 100);
    silent.write(bytes(40));
    const answer = await silent.closed;
    expect([statusOf(answer), answer.includes('"code":"uploads/stalled"')]).toEqual([408, true]);
    expect(answer).toContain('is kept');
    expect(await alice.head(path)).toEqual([200, 40]);
  });
});

describe('what is not there or not in time', () => {
  test('an upload expires, with its bytes and its quota', async () => {
    let now = Date.now();
    await open({ clock: { now: () => now }, userQuotaBytes: 1000 });
    const path = await alice.create(1000);
    await alice.patch(path, 0, bytes(400));
    expect(await reservations()).toHaveLength(1);
    now += 23 * 3_600_000;
    expect((await alice.patch(path, 400, bytes(1))).status).toBe(204);
    now += 23 * 3_600_000;
    expect(await alice.head(path)).toEqual([200, 401]);
    now += 3_600_001;
    expect((await alice.head(path))[0]).toBe(410);
    expect((await alice.patch(path, 401, bytes(1))).status).toBe(410);
    await uploads.openBeside();
    await eventually(async () => (await rows()).length === 0);
    await eventually(async () => (await uploads.filesOnDisk()).length === 0);
    expect(await reservations()).toEqual([]);
    expect((await alice.head(path))[0]).toBe(404);
  });

  test('10,000 abandoned uploads are swept in batches, and the server answers meanwhile', async () => {
    let now = Date.now();
    await open({ clock: { now: () => now } });
    const path = await alice.create(10);
    const [model] = await rows();
    if (!model) throw new Error('there is no upload');
    await uploads.database.write(async (tx) => {
      for (let count = 0; count < 10_000; count += 1000) {
        const more = Array.from({ length: 1000 }, (_, index) => {
          const id = `0198c0de-0000-7000-8000-${String(count + index).padStart(12, '0')}`;
          return { ...model, id, handle: `files/${id}/x` };
        });
        await tx.insert(resumableUploads).values(more);
      }
    });
    now += 25 * 3_600_000;
    const kept = await alice.create(10);
    await uploads.openBeside();
    let slowest = 0;
    await eventually(async () => {
      const started = performance.now();
      expect(await alice.head(kept)).toEqual([200, 0]);
      slowest = Math.max(slowest, performance.now() - started);
      return (await uploads.database.read.$count(resumableUploads)) === 1;
    });
    expect(slowest).toBeLessThan(1000);
    expect((await alice.head(path))[0]).toBe(404);
    expect(await uploads.filesOnDisk()).toHaveLength(1);
  });

  test('bytes that no upload names are found later, those of one that is under way stay', async () => {
    let now = Date.now();
    await open({ clock: { now: () => now } });
    const gone = tusClient(uploads, 'bob');
    await gone.patch(await gone.create(10), 0, 'hello');
    const path = await alice.create(10);
    await alice.patch(path, 0, 'hello');
    await uploads.deleteUser('bob');
    expect(await uploads.filesOnDisk()).toHaveLength(2);
    now += 2 * 3_600_000;
    await uploads.openBeside();
    await eventually(async () => (await uploads.filesOnDisk()).length === 1);
    expect(await alice.head(path)).toEqual([200, 5]);
  });

  test('an upload whose bytes are gone is gone', async () => {
    await open();
    const path = await alice.create(10);
    await rm(uploads.objectsRoot, { recursive: true });
    expect((await alice.head(path))[0]).toBe(410);
    expect((await alice.patch(path, 0, 'hello')).status).toBe(410);
    expect((await alice.send('DELETE', path, {})).status).toBe(204);
    expect(await rows()).toEqual([]);
  });
});

describe('joining', () => {
  /** Joins that begin when `started` resolves and go on when `goOn` is. */
  async function openSlow(options: UploadsOptions = {}) {
    const started = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    let joins = 0;
    await open({
      ...options,
      wrapResumable: (store) => ({
        ...store,
        async concat(handle, sources, { signal } = {}) {
          joins++;
          started.resolve();
          const stopped = new Promise<never>((_, reject) => {
            signal?.addEventListener('abort', () => reject(signal.reason));
          });
          await Promise.race([goOn.promise, stopped]);
          return store.concat(handle, sources, { signal });
        },
      }),
    });
    const part = await alice.create(5, { 'upload-concat': 'partial' });
    await alice.patch(part, 0, 'hello');
    const final = { 'upload-concat': `final;${part}` };
    return { started: started.promise, goOn: () => goOn.resolve(), final, joins: () => joins };
  }

  test('is not waited for by a drain, and is done again elsewhere', async () => {
    const { started, goOn, final } = await openSlow();
    const joining = alice.send('POST', '/api/uploads', final);
    await started;
    await uploads.module.drain();
    expect((await joining).status).toBe(423);
    goOn();
    const there = tusClient(uploads, 'alice', await uploads.openBeside());
    expect((await there.send('POST', '/api/uploads', final)).status).toBe(201);
    expect((await files())[0]?.sha256).toBe(sha256(Buffer.from('hello')));
  });

  test('goes on when the same is asked for again, in this process or another', async () => {
    let writes = 0;
    const { started, goOn, final, joins } = await openSlow({
      wrapDatabase: (database) => ({
        ...database,
        read: database.read,
        write(work) {
          writes++;
          return database.write(work);
        },
      }),
    });
    const there = tusClient(uploads, 'alice', await uploads.openBeside());
    const first = alice.send('POST', '/api/uploads', final);
    await started;
    const before = writes;
    const others = [alice, there].map((client) => client.send('POST', '/api/uploads', final));
    // The other process looks again and again.
    await eventually(() => writes >= before + 3);
    goOn();
    const statuses = (await Promise.all([first, ...others])).map(({ status }) => status);
    expect([statuses, joins()]).toEqual([[201, 201, 201], 1]);
    expect(await files()).toHaveLength(1);
  });

  test('keeps its parts until there is a file, however long it takes', async () => {
    let now = Date.now();
    await open({ clock: { now: () => now } });
    const part = await alice.create(5, { 'upload-concat': 'partial' });
    await alice.patch(part, 0, 'hello');
    now += 23 * 3_600_000;
    expect((await alice.send('POST', '/api/uploads', { 'upload-concat': `final;${part}` })).status).toBe(201);
    const [one, other] = await rows();
    expect(one?.expiresAt).toBe(other?.expiresAt as number);

    const late = now + 25 * 3_600_000;
    const hold = { fileId: null, holder: 'somebody', heldUntil: late + 1 };
    await uploads.database.write((tx) => tx.update(resumableUploads).set(hold).where(isNull(resumableUploads.finalId)));
    expect(await uploadRecords.hasExpired(uploads.database.read, late)).toBe(false);
    expect(await uploads.database.write((tx) => uploadRecords.removeExpired(tx, late, 10))).toEqual([]);
    await uploads.database.write((tx) => tx.update(resumableUploads).set({ fileId: 'a file' }));
    expect(await uploads.database.write((tx) => uploadRecords.removeExpired(tx, late, 10))).toHaveLength(1);
  });
});

describe('quota and refusal', () => {
  test('room is reserved when an upload begins, given back when it ends', async () => {
    await open({ userQuotaBytes: 1000 });
    const path = await alice.create(600);
    const second = await alice.send('POST', '/api/uploads', { 'upload-length': '401' });
    expect([second.status, await codeOf(second)]).toEqual([413, 'uploads/quota-exceeded']);
    expect(await uploads.filesOnDisk()).toHaveLength(1);
    expect((await uploads.request('alice', 'PUT', '/api/files/by-name/x', { body: 'x'.repeat(401) })).status).toBe(413);
    await alice.send('DELETE', path, {});
    expect(await reservations()).toEqual([]);
    await alice.patch(await alice.create(600), 0, bytes(600));
    expect(await reservations()).toEqual([]);
    expect((await alice.send('POST', '/api/uploads', { 'upload-length': '401' })).status).toBe(413);
    await alice.create(400);
  });

  test('an upload of unknown length takes what is left and no more', async () => {
    await open({ userQuotaBytes: 1000 });
    const path = await alice.create(null);
    expect((await alice.patch(path, 0, bytes(800))).status).toBe(204);
    async function* streamed() {
      yield bytes(150);
      yield bytes(51);
    }
    for (const body of [bytes(201), streamed()]) {
      const tooMuch = await alice.patch(path, (await alice.head(path))[1] as number, body);
      expect([tooMuch.status, await codeOf(tooMuch)]).toEqual([413, 'uploads/quota-exceeded']);
    }
    const offset = (await alice.head(path))[1] as number;
    expect(offset).toBeLessThanOrEqual(1000);
    const rest = await alice.patch(path, offset, bytes(1000 - offset), { 'upload-length': '1000' });
    expect(rest.status).toBe(204);
    expect((await files())[0]?.size).toBe(1000);
  });

  test('joining needs no more room than the parts had', async () => {
    await open({ userQuotaBytes: 1000 });
    const parts: string[] = [];
    for (const size of [500, 500]) {
      const part = await alice.create(size, { 'upload-concat': 'partial' });
      await alice.patch(part, 0, bytes(size));
      parts.push(part);
    }
    const final = await alice.send('POST', '/api/uploads', { 'upload-concat': `final;${parts.join(' ')}` });
    expect(final.status).toBe(201);
    expect(await reservations()).toEqual([]);
    expect(await uploads.filesOnDisk()).toHaveLength(1);
  });

  test('a join that comes second leaves its parts and nothing else', async () => {
    let isSecond = false;
    await open({
      wrapResumable: (store) => ({
        ...store,
        async create(key) {
          if (isSecond) await uploads.database.write((tx) => tx.update(resumableUploads).set({ finalId: 'the first' }));
          return store.create(key);
        },
      }),
    });
    const part = await alice.create(5, { 'upload-concat': 'partial' });
    await alice.patch(part, 0, 'hello');
    isSecond = true;
    const second = await alice.send('POST', '/api/uploads', { 'upload-concat': `final;${part}` });
    expect(await codeOf(second)).toBe('uploads/unfinished-part');
    expect(await uploads.filesOnDisk()).toHaveLength(1);
  });

  test('what the admission hook refuses leaves nothing', async () => {
    await open({ userQuotaBytes: 1000 });
    uploads.module.hooks.admission.add(async ({ files: [file] }, next) => {
      const text = await new Response(await file?.open()).text();
      if (text.includes('EICAR')) throw uploadProblems.create('refused');
      await next();
    });
    const path = await alice.create(10);
    const refused = await alice.patch(path, 0, 'xxEICARxxx');
    expect([refused.status, await codeOf(refused)]).toEqual([422, 'uploads/refused']);
    expect((await alice.head(path))[0]).toBe(404);
    expect([await uploads.filesOnDisk(), await reservations(), await files()]).toEqual([[], [], []]);
  });
});

describe('when our own side fails', () => {
  test('a complete upload becomes a file as soon as the database is back', async () => {
    let isDown = false;
    const failing = (database: Database): Database => ({
      ...database,
      read: database.read,
      write: (work) => (isDown ? Promise.reject(databaseProblems.create('unavailable')) : database.write(work)),
    });
    await open({ wrapDatabase: failing });
    const path = await alice.create(10);
    const late = await alice.begin(path, 0, 10);
    late.write('hello');
    await arrived(5);
    isDown = true;
    late.write('world');
    expect(statusOf(await late.until(/\r\n\r\n/))).toBe(503);
    isDown = false;
    late.close();
    expect(await files()).toEqual([]);
    await uploads.database.write((tx) => tx.update(resumableUploads).set({ holder: null }));
    expect(await alice.head(path)).toEqual([200, 10]);
    expect(await files()).toHaveLength(1);
    expect(await uploads.filesOnDisk()).toHaveLength(1);
  });

  test('a drain ends running requests with what they have, and takes no new ones', async () => {
    await open();
    const path = await alice.create(100);
    const running = await alice.begin(path, 0, 100);
    running.write(bytes(30));
    await arrived(30);
    await uploads.module.drain();
    const answer = await running.closed;
    expect([statusOf(answer), headerOf(answer, 'upload-offset')]).toEqual([204, '30']);
    expect((await alice.patch(path, 30, bytes(70))).status).toBe(503);
    const there = tusClient(uploads, 'alice', await uploads.openBeside());
    expect((await there.patch(path, 30, bytes(70))).status).toBe(204);
  });

  /** A full disk needs a file system of its own, which only root can mount. */
  const canMount = process.platform === 'linux' && process.getuid?.() === 0;
  test.skipIf(!canMount)('a full disk is 507, and the upload goes on when there is room', async () => {
    const mountPoint = await mkdtemp(join(tmpdir(), 'bunkhouse-tiny-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mountPoint]);
    try {
      await open({ objectsRoot: join(mountPoint, 'objects') });
      // Containers may forbid it even to root.
      if (mounted.status !== 0) return;
      const content = bytes(900 * KIB, 6);
      const filler = await alice.create(500 * KIB);
      await alice.patch(filler, 0, bytes(499 * KIB));
      const path = await alice.create(content.length);
      const full = await alice.patch(path, 0, content);
      expect([full.status, await codeOf(full)]).toEqual([507, 'storage/full']);
      const [status, offset] = await alice.head(path);
      expect([status, (offset as number) >= 0, (offset as number) < content.length]).toEqual([200, true, true]);
      await alice.send('DELETE', filler, {});
      expect((await alice.patch(path, offset as number, content.subarray(offset as number))).status).toBe(204);
      expect((await files())[0]?.sha256).toBe(sha256(content));
    } finally {
      spawnSync('umount', ['-l', mountPoint]);
      await rm(mountPoint, { recursive: true, force: true });
    }
  });
});

test('an upload that is created with bytes that stop coming leaves nothing', async () => {
  await open({ tus: { stallMs: 150 } });
  const { connectRaw } = await import('../../support/raw.ts');
  const connection = await connectRaw(uploads.url);
  const lines = Object.entries(OCTETS).map(([name, value]) => `${name}: ${value}\r\n`);
  connection.write(
    `POST /api/uploads HTTP/1.1\r\nhost: a.test\r\nauthorization: Bearer alice\r\nupload-length: 100\r\n` +
      `content-length: 100\r\n${lines.join('')}\r\nhello`,
  );
  expect(statusOf(await connection.closed)).toBe(408);
  expect([await rows(), await uploads.filesOnDisk()]).toEqual([[], []]);
});

describe('what must never happen', () => {
  test('a file loses its bytes because the record of its upload went first', async () => {
    let now = Date.now();
    let settles = true;
    await open({
      clock: { now: () => now },
      wrapResumable: (store) => ({
        ...store,
        settle: (handle) => (settles ? store.settle(handle) : Promise.reject(new Error('the storage is away'))),
      }),
    });
    settles = false;
    await alice.patch(await alice.create(10), 0, 'helloworld');
    await uploads.database.write((tx) => tx.delete(resumableUploads));
    settles = true;
    now += 3 * 3_600_000;
    await uploads.openBeside();
    await eventually(async () => (await uploads.filesOnDisk()).length === 1);
    const [file] = await files();
    expect(await (await uploads.request('alice', 'GET', file?.url ?? '')).text()).toBe('helloworld');
  });

  test('a file loses its bytes because nobody heard that it was made', async () => {
    let isLost = false;
    const lossy = (database: Database): Database => ({
      ...database,
      read: database.read,
      async write(work) {
        const result = await database.write(work);
        if (!isLost || (await files()).length === 0) return result;
        isLost = false;
        throw databaseProblems.create('unknown-outcome');
      },
    });
    await open({ wrapDatabase: lossy });
    isLost = true;
    const created = await alice.send('POST', '/api/uploads', { ...OCTETS, 'upload-length': '10' }, 'helloworld');
    expect(created.status).toBe(503);
    const [file] = await files();
    expect(await (await uploads.request('alice', 'GET', file?.url ?? '')).text()).toBe('helloworld');
  });

  test('bytes are swept because a replica does not know of them yet', async () => {
    let now = Date.now();
    await using behind = await openUploads();
    await open({ clock: { now: () => now } });
    const path = await alice.create(10);
    await alice.patch(path, 0, 'hello');
    const quota = createQuota(0, { now: () => now });
    const resumable = diskResumableStore({ root: uploads.objectsRoot });
    const clock = { now: () => now };
    now += 3 * 3_600_000;
    const database = { ...uploads.database, read: behind.database.read };
    const sweep = createUploadSweep({ database, resumable, clock, log: uploads.log, quota });
    await sweep(new AbortController().signal);
    expect(await alice.head(path)).toEqual([200, 5]);
  });

  test('an upload is taken for lost because a replica is behind', async () => {
    let stale: Database['read'] | null = null;
    await open({
      wrapDatabase: (database) => ({
        ...database,
        get read() {
          return stale ?? database.read;
        },
        version: () => null,
      }),
    });
    const path = await alice.create(10);
    const empty = { get: async () => undefined };
    stale = new Proxy(uploads.database.read, {
      get: (target, name) =>
        name === 'select'
          ? () => ({
              from: () => ({ where: () => ({ prepare: () => empty, limit: () => ({ prepare: () => empty }) }) }),
            })
          : Reflect.get(target, name),
    });
    expect(await alice.head(path)).toEqual([200, 0]);
    stale = null;
  });
});
