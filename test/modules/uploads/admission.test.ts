import { afterEach, describe, expect, test } from 'bun:test';
import { quotaReservations } from '../../../src/db/schema/uploads.ts';
import { uploadProblems } from '../../../src/modules/uploads/problems.ts';
import { eventually } from '../../support/eventually.ts';
import { connectRaw } from '../../support/raw.ts';
import { type FileAnswer, openUploads, type UploadsOptions } from './support.ts';

type Uploads = Awaited<ReturnType<typeof openUploads>>;
let uploads: Uploads;
async function open(options: UploadsOptions = {}): Promise<Uploads> {
  uploads = await openUploads(options);
  return uploads;
}
afterEach(async () => {
  expect(uploads.faults).toEqual([]);
  await uploads[Symbol.asyncDispose]();
});

const KIB = 1024;
const put = (name: string, body: BodyInit) => uploads.request('alice', 'PUT', `/api/files/by-name/${name}`, { body });
const post = (name: string, body: BlobPart) => {
  const form = new FormData();
  form.append('file', new File(['harmless'], 'first'));
  form.append('file', new File([body], name));
  return uploads.request('alice', 'POST', '/api/files', { body: form });
};
const codeOf = async (response: Response) => ((await response.json()) as { code?: string }).code;
const reservations = () => uploads.database.read.select().from(quotaReservations);
const listed = async () =>
  ((await (await uploads.request('alice', 'GET', '/api/files')).json()) as { items: FileAnswer[] }).items;

/** Refuses what contains a word, as a scanner would. */
function scanFor(word: string): void {
  uploads.module.hooks.admission.add(async ({ files }, next) => {
    for (const file of files) {
      const text = await new Response((await file.open()) as Blob).text();
      if (text.includes(word)) throw uploadProblems.create('refused');
    }
    await next();
  });
}

describe('the admission hook', () => {
  const ways = { 'a form': post, 'a raw body': put };
  test.each(Object.entries(ways))('refuses %s and nothing is left of it', async (_, send) => {
    await open({ userQuotaBytes: 1000 * KIB });
    scanFor('EICAR');
    const response = await send('x', `${'x'.repeat(100 * KIB)}EICAR`);
    expect([response.status, await codeOf(response)]).toEqual([422, 'uploads/refused']);
    expect(await uploads.filesOnDisk()).toEqual([]);
    expect(await listed()).toEqual([]);
    expect(uploads.told).toEqual([]);
    expect(await reservations()).toEqual([]);
    expect((await send('y', 'harmless')).status).toBe(201);
  });

  test('leaves the old content when it refuses a replacement', async () => {
    await open();
    const before = (await (await put('x', 'harmless')).json()) as FileAnswer;
    scanFor('EICAR');
    expect((await put('x', 'EICAR')).status).toBe(422);
    expect(await (await uploads.request('alice', 'GET', before.url)).text()).toBe('harmless');
    expect(await uploads.filesOnDisk()).toHaveLength(1);
  });

  test('runs before anybody can see the file', async () => {
    await open();
    let seen: readonly FileAnswer[] | null = null;
    uploads.module.hooks.admission.add(async (_, next) => {
      seen = await listed();
      await next();
    });
    expect((await put('x', 'x')).status).toBe(201);
    expect(seen as unknown).toEqual([]);
  });

  test('refuses when a handler does not go on, and is no 500 when one fails after the fact', async () => {
    await open();
    const remove = uploads.module.hooks.admission.add(async () => undefined);
    expect(await codeOf(await put('x', 'x'))).toBe('uploads/refused');
    remove();
    uploads.module.hooks.admission.add(async (_, next) => {
      await next();
      throw new Error('too late');
    });
    expect((await put('x', 'x')).status).toBe(201);
    expect(uploads.told).toHaveLength(1);
    expect(uploads.log.lines.some(({ level }) => level === 'error')).toBe(true);
  });
});

describe('quota of uploads under way', () => {
  const head = (name: string, bytes: number | null) =>
    `PUT /api/files/by-name/${name} HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer alice\r\n` +
    `${bytes === null ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes}`}\r\n\r\n`;

  test('is held from the first byte, refuses what would not fit beside it, and is given back when the client goes', async () => {
    await open({ userQuotaBytes: 1000 * KIB });
    const connection = await connectRaw(uploads.url);
    connection.write(head('slow', 800 * KIB));
    connection.write(new Uint8Array(10));
    await eventually(async () => (await reservations()).length === 1);
    expect(await codeOf(await put('other', new Uint8Array(300 * KIB)))).toBe('uploads/quota-exceeded');
    expect(await codeOf(await post('other', new Uint8Array(300 * KIB)))).toBe('uploads/quota-exceeded');
    // Small bodies hold nothing, but the room that others hold is not theirs.
    expect((await put('small', new Uint8Array(10 * KIB))).status).toBe(201);
    connection.close();
    await eventually(async () => (await reservations()).length === 0);
    expect((await put('other', new Uint8Array(900 * KIB))).status).toBe(201);
  });

  test('is taken in steps when nobody knows the length', async () => {
    await open({ userQuotaBytes: 1000 * KIB });
    const stream = (bytes: number) =>
      put(
        'unknown',
        (async function* () {
          for (let sent = 0; sent < bytes; sent += 50 * KIB) yield new Uint8Array(Math.min(50 * KIB, bytes - sent));
        })() as unknown as BodyInit,
      );
    expect((await stream(1000 * KIB)).status).toBe(201);
    await uploads.request('alice', 'DELETE', `/api/files/${(await listed())[0]?.id}`);
    expect(await codeOf(await stream(1000 * KIB + 1))).toBe('uploads/quota-exceeded');
    expect(await reservations()).toEqual([]);
  });

  test('lets a full account replace its one large file', async () => {
    await open({ userQuotaBytes: 1000 * KIB });
    expect((await put('big', new Uint8Array(1000 * KIB))).status).toBe(201);
    expect((await put('big', new Uint8Array(990 * KIB))).status).toBe(200);
    expect((await put('rest', new Uint8Array(10 * KIB))).status).toBe(201);
    expect(await codeOf(await put('more', new Uint8Array(1)))).toBe('uploads/quota-exceeded');
    expect(await reservations()).toEqual([]);
  });

  test('never lets parallel uploads on the disk together pass it', async () => {
    let most = 0;
    let now = 0;
    await open({
      userQuotaBytes: 1000 * KIB,
      wrapStore: (store) => ({
        ...store,
        async put(key, body, options) {
          const counted = (async function* () {
            for await (const chunk of body) {
              now += chunk.length;
              most = Math.max(most, now);
              yield chunk;
            }
          })();
          return store.put(key, counted, options);
        },
        async delete(key) {
          now = Number.NaN;
          await store.delete(key);
        },
      }),
    });
    const responses = await Promise.all(
      Array.from({ length: 12 }, (_, index) => put(`f${index}`, new Uint8Array(300 * KIB))),
    );
    expect(responses.filter(({ status }) => status === 201)).toHaveLength(3);
    expect(most).toBe(900 * KIB);
  });

  test('keeps as many small files that come at once as fit, and nothing of the others', async () => {
    await open({ userQuotaBytes: 100 * KIB });
    const form = () => {
      const body = new FormData();
      for (const name of ['a', 'b']) body.append('file', new File([new Uint8Array(15 * KIB)], name));
      return uploads.request('alice', 'POST', '/api/files', { body });
    };
    const responses = await Promise.all(
      Array.from({ length: 12 }, (_, index) => (index % 2 ? form() : put(`f${index}`, new Uint8Array(30 * KIB)))),
    );
    const codes = await Promise.all(
      responses.filter(({ status }) => status !== 201).map((response) => codeOf(response)),
    );
    expect(codes).toEqual(Array(9).fill('uploads/quota-exceeded'));
    const kept = await listed();
    expect(kept.reduce((sum, { size }) => sum + size, 0)).toBe(90 * KIB);
    await eventually(async () => (await uploads.filesOnDisk()).length === kept.length);
  });
});

describe('limits on types and number', () => {
  const types = ['image/*', 'application/pdf'];
  const PNG = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  );

  test.each(Object.entries({ 'a form': post, 'a raw body': put }))(
    'refuse what %s may not bring, whatever it is called',
    async (way, send) => {
      await open({ types: way === 'a form' ? [...types, 'text/plain'] : types });
      const response = await send('x.png', '<!doctype html><script>x</script>');
      expect([response.status, await codeOf(response)]).toEqual([415, 'uploads/type-not-allowed']);
      expect(await uploads.filesOnDisk()).toEqual([]);
      expect((await send('x', PNG)).status).toBe(201);
      expect((await send('y', '%PDF-1.4\n%')).status).toBe(201);
    },
  );

  test('count files, not what is replaced, also when many come at once', async () => {
    await open({ userMaxFiles: 3 });
    const responses = await Promise.all(Array.from({ length: 8 }, (_, index) => put(`f${index}`, 'x')));
    expect(responses.filter(({ status }) => status === 201)).toHaveLength(3);
    const refused = responses.find(({ status }) => status !== 201) as Response;
    expect([refused.status, await codeOf(refused)]).toEqual([413, 'uploads/too-many-files']);
    const { name } = (await listed())[0] as FileAnswer;
    expect((await put(name, 'y')).status).toBe(200);
    expect((await post('more', 'x')).status).toBe(413);
    expect(await uploads.filesOnDisk()).toHaveLength(3);
  });
});

test('what changes is told', async () => {
  await open();
  const { id } = (await (await put('x', 'x')).json()) as FileAnswer;
  await put('x', 'y');
  await uploads.request('alice', 'PATCH', `/api/files/${id}`, {
    body: JSON.stringify({ name: 'z' }),
    headers: { 'content-type': 'application/json' },
  });
  await uploads.request('alice', 'DELETE', `/api/files/${id}`);
  expect(uploads.told.map(({ name }) => name)).toEqual([
    'files/created',
    'files/changed',
    'files/changed',
    'files/deleted',
  ]);
});
