import { afterEach, describe, expect, test } from 'bun:test';
import { files } from '../../../src/db/schema/uploads.ts';
import { databaseProblems, storageProblems } from '../../../src/kernel/problems.ts';
import type { Database } from '../../../src/ports/database.ts';
import type { ObjectStore } from '../../../src/ports/object-store.ts';
import { eventually } from '../../support/eventually.ts';
import { connectRaw, sendRaw, statusOf } from '../../support/raw.ts';
import { openUploads, type UploadsOptions } from './support.ts';
import { tusClient } from './tus-support.ts';

type Uploads = Awaited<ReturnType<typeof openUploads>>;
let uploads: Uploads;
async function open(options: UploadsOptions = {}): Promise<Uploads> {
  uploads = await openUploads(options);
  return uploads;
}
afterEach(async () => {
  await uploads[Symbol.asyncDispose]();
});

const KIB = 1024;

function formOf(...files: [name: string, size: number][]): FormData {
  const form = new FormData();
  for (const [name, size] of files) form.append('file', new File([new Uint8Array(size)], name));
  return form;
}

async function codeOf(response: Response): Promise<unknown> {
  return ((await response.json()) as { code: unknown }).code;
}

async function expectNothingKept(): Promise<void> {
  await eventually(async () => (await uploads.filesOnDisk()).length === 0);
  const list = (await (await uploads.request('alice', 'GET', '/api/files')).json()) as { items: unknown[] };
  expect(list.items).toEqual([]);
  expect(uploads.told).toEqual([]);
}

describe('a file that is too large', () => {
  test('is refused from its declared length before a byte is read', async () => {
    await open({ maxFileBytes: 100 * KIB });
    const answer = await sendRaw(
      uploads.url,
      'PUT /api/files/by-name/x HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer alice\r\nContent-Length: 2147483648\r\n\r\n',
    );
    expect(statusOf(answer)).toBe(413);
    expect(answer).toMatch(/^connection: close\r$/im);
    expect(answer).toContain('"code":"uploads/too-large"');
    await expectNothingKept();
  });

  test.each([0, 2000])(
    'is refused before it is sent when the store cannot keep it, with a limit of %p',
    async (limit) => {
      await open({ maxFileBytes: limit, wrapStore: (store) => ({ ...store, maxObjectBytes: 1000 }) });
      const tus = tusClient(uploads);
      const asked = await tus.send('OPTIONS', '/api/uploads', {});
      expect(asked.headers.get('tus-max-size')).toBe('1000');
      const begun = await tus.send('POST', '/api/uploads', { 'upload-length': '1001' });
      expect([begun.status, await codeOf(begun)]).toEqual([413, 'uploads/too-large']);
      const sent = await uploads.request('alice', 'PUT', '/api/files/by-name/x', { body: 'x'.repeat(1001) });
      expect([sent.status, await codeOf(sent)]).toEqual([413, 'uploads/too-large']);
      await expectNothingKept();
    },
  );

  test('is refused while it arrives when nothing was declared', async () => {
    await open({ maxFileBytes: 100 * KIB });
    async function* endless() {
      for (;;) yield new Uint8Array(32 * KIB);
    }
    const response = await uploads.request('alice', 'PUT', '/api/files/by-name/x', {
      body: endless() as unknown as BodyInit,
    });
    expect([response.status, await codeOf(response)]).toEqual([413, 'uploads/too-large']);
    await expectNothingKept();
  });

  test('takes the other files of its form with it', async () => {
    await open({ maxFileBytes: 100 * KIB });
    const response = await uploads.request('alice', 'POST', '/api/files', {
      body: formOf(['a', 10], ['b', 3000 * KIB], ['c', 10]),
    });
    expect([response.status, await codeOf(response)]).toEqual([413, 'uploads/too-large']);
    await expectNothingKept();
  });

  test('is one byte over the limit, not at it', async () => {
    await open({ maxFileBytes: 100 });
    expect((await uploads.request('alice', 'POST', '/api/files', { body: formOf(['a', 100]) })).status).toBe(201);
    expect((await uploads.request('alice', 'POST', '/api/files', { body: formOf(['a', 101]) })).status).toBe(413);
  });
});

describe('the quota', () => {
  test('bounds the sum of a form', async () => {
    await open({ userQuotaBytes: 1000 });
    const response = await uploads.request('alice', 'POST', '/api/files', { body: formOf(['a', 600], ['b', 401]) });
    expect([response.status, await codeOf(response)]).toEqual([413, 'uploads/quota-exceeded']);
    await expectNothingKept();
    expect(
      (await uploads.request('alice', 'POST', '/api/files', { body: formOf(['a', 600], ['b', 400]) })).status,
    ).toBe(201);
  });

  test('is each user’s own and counts what is kept', async () => {
    await open({ userQuotaBytes: 1000 });
    const put = (person: 'alice' | 'bob', name: string, size: number) =>
      uploads.request(person, 'PUT', `/api/files/by-name/${name}`, { body: new Uint8Array(size) });
    expect((await put('alice', 'a', 700)).status).toBe(201);
    expect((await put('bob', 'a', 700)).status).toBe(201);
    expect(await codeOf(await put('alice', 'b', 301))).toBe('uploads/quota-exceeded');
    // Replacing frees what it replaces.
    expect((await put('alice', 'a', 1000)).status).toBe(200);
    expect(await codeOf(await put('alice', 'b', 1))).toBe('uploads/quota-exceeded');
    expect((await put('alice', 'b', 0)).status).toBe(201);
    const { id } = (await (await put('alice', 'a', 10)).json()) as { id: string };
    await uploads.request('alice', 'DELETE', `/api/files/${id}`);
    expect((await put('alice', 'c', 1000)).status).toBe(201);
  });

  test('holds when uploads that would fit alone arrive together', async () => {
    await open({ userQuotaBytes: 1000 });
    const responses = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        uploads.request('alice', 'PUT', `/api/files/by-name/${index}`, { body: new Uint8Array(400) }),
      ),
    );
    expect(responses.filter(({ status }) => status === 201).length).toBe(2);
    expect(responses.filter(({ status }) => status === 413).length).toBe(4);
    await eventually(async () => (await uploads.filesOnDisk()).length === 2);
  });
});

describe('a faulty form', () => {
  const head = (field: string, filename: string) =>
    `--xx\r\nContent-Disposition: form-data; name="${field}"; filename="${filename}"\r\n\r\n`;
  const cases: { what: string; body: string; type?: string; status: number; code: string }[] = [
    {
      what: 'without a boundary',
      body: 'x',
      type: 'multipart/form-data',
      status: 400,
      code: 'uploads/invalid-multipart',
    },
    {
      what: 'that is no form',
      body: '{}',
      type: 'application/json',
      status: 415,
      code: 'request/unsupported-media-type',
    },
    { what: 'without a file', body: '--xx--\r\n', status: 422, code: 'uploads/no-file' },
    { what: 'cut off', body: `${head('file', 'a')}some`, status: 400, code: 'uploads/invalid-multipart' },
    {
      what: 'with a file elsewhere',
      body: `${head('avatar', 'a')}x\r\n--xx--\r\n`,
      status: 422,
      code: 'uploads/unexpected-file',
    },
    {
      what: 'with a nameless file',
      body: `${head('file', '')}x\r\n--xx--\r\n`,
      status: 422,
      code: 'uploads/invalid-name',
    },
    {
      what: 'with NUL in a name',
      body: `${head('file', 'a\0b')}x\r\n--xx--\r\n`,
      status: 422,
      code: 'uploads/invalid-name',
    },
    {
      what: 'with a long name',
      body: `${head('file', 'x'.repeat(256))}x\r\n--xx--\r\n`,
      status: 422,
      code: 'uploads/invalid-name',
    },
    {
      what: 'with a bad file after a good one',
      body: `${head('file', 'a')}x\r\n${head('file', '')}y\r\n--xx--\r\n`,
      status: 422,
      code: 'uploads/invalid-name',
    },
    {
      what: 'with an unknown visibility',
      body: `${head('file', 'a')}x\r\n--xx\r\nContent-Disposition: form-data; name="visibility"\r\n\r\nall\r\n--xx--\r\n`,
      status: 422,
      code: 'request/invalid',
    },
    {
      what: 'of ten thousand parts',
      body: `${'--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'.repeat(10_000)}--xx--\r\n`,
      status: 413,
      code: 'uploads/too-many-parts',
    },
  ];
  test.each(cases)('$what is answered with $code', async ({ body, type, status, code }) => {
    await open();
    const response = await uploads.request('alice', 'POST', '/api/files', {
      body,
      headers: { 'content-type': type ?? 'multipart/form-data; boundary=xx' },
    });
    expect([response.status, await codeOf(response)]).toEqual([status, code]);
    await expectNothingKept();
    expect(uploads.faults).toEqual([]);
  });
});

describe('a client that goes away', () => {
  const requests = {
    'a raw body':
      'PUT /api/files/by-name/x HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer alice\r\nContent-Length: 5000000\r\n\r\n',
    'a form':
      'POST /api/files HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer alice\r\nContent-Length: 5000000\r\n' +
      'Content-Type: multipart/form-data; boundary=xx\r\n\r\n' +
      '--xx\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
    'a chunked body':
      'PUT /api/files/by-name/x HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer alice\r\nTransfer-Encoding: chunked\r\n\r\nf4240\r\n',
  };
  test.each(Object.entries(requests))('in the middle of %s leaves nothing', async (_, start) => {
    await open();
    const connection = await connectRaw(uploads.url);
    connection.write(start);
    connection.write(new Uint8Array(300 * KIB));
    await eventually(async () => (await uploads.filesOnDisk()).length === 1);
    connection.close();
    await expectNothingKept();
    expect(uploads.faults).toEqual([]);
  });
});

/** A store or database that fails where a test wants it to. */
const failing = {
  put:
    (error: unknown) =>
    (store: ObjectStore): ObjectStore => ({
      ...store,
      async put(key, body, options) {
        await store.put(key, body, options);
        await store.delete(key);
        throw error;
      },
    }),
  write:
    (error: unknown, when: 'before' | 'after') =>
    (database: Database): Database => ({
      ...database,
      write: (work) =>
        database
          .write(async (tx) => {
            const result = await work(tx);
            if (when === 'before' && (await tx.$count(files)) > 0) throw error;
            return result;
          })
          .then((result) => {
            if (when === 'after') throw error;
            return result;
          }),
    }),
};

describe('when something breaks in between', () => {
  test('a full disk is answered with 507 and nothing is kept', async () => {
    await open({ wrapStore: failing.put(storageProblems.create('full')) });
    const response = await uploads.request('alice', 'POST', '/api/files', { body: formOf(['a', 10]) });
    expect([response.status, await codeOf(response)]).toEqual([507, 'storage/full']);
    await expectNothingKept();
  });

  test('a transaction that fails takes the bytes with it', async () => {
    await open({ wrapDatabase: failing.write(databaseProblems.create('unavailable'), 'before') });
    for (const [method, path] of [
      ['POST', '/api/files'],
      ['PUT', '/api/files/by-name/x'],
    ] as const) {
      const response = await uploads.request('alice', method, path, { body: formOf(['a', 10], ['b', 10]) });
      expect([response.status, await codeOf(response)]).toEqual([503, 'database/unavailable']);
    }
    await expectNothingKept();
  });

  test('a commit that failed after it took effect keeps row and bytes together', async () => {
    await open({ wrapDatabase: failing.write(databaseProblems.create('unavailable'), 'after') });
    expect((await uploads.request('alice', 'PUT', '/api/files/by-name/x', { body: 'kept' })).status).toBe(503);
    const { items } = (await (await uploads.request('alice', 'GET', '/api/files')).json()) as {
      items: { url: string }[];
    };
    expect(await (await uploads.request('alice', 'GET', items[0]?.url as string)).text()).toBe('kept');
    expect(await uploads.filesOnDisk()).toHaveLength(1);
  });

  test.each([
    ['POST', '/api/files'],
    ['PUT', '/api/files/by-name/x'],
  ])(
    '%s: a commit that lands after its answer was lost keeps its bytes, though reads are behind',
    async (method, path) => {
      await using stale = await openUploads();
      let isLost = false;
      await open({
        wrapDatabase: (database) => ({
          ...database,
          get read() {
            return isLost ? stale.database.read : database.read;
          },
          async write(work) {
            const result = await database.write(work);
            if (isLost || (await database.read.$count(files)) === 0) return result;
            isLost = true;
            throw databaseProblems.create('unknown-outcome');
          },
        }),
      });
      expect((await uploads.request('alice', method, path, { body: formOf(['a', 10]) })).status).toBe(503);
      isLost = false;
      const { items } = (await (await uploads.request('alice', 'GET', '/api/files')).json()) as {
        items: { url: string }[];
      };
      expect((await uploads.request('alice', 'GET', items[0]?.url as string)).status).toBe(200);
    },
  );

  test('bytes stay for a later look while nobody can say whether a row names them', async () => {
    let isAway = false;
    await open({
      wrapDatabase: (database) => ({
        ...database,
        read: database.read,
        write: (work) =>
          database.write(async (tx) => {
            const result = await work(tx);
            isAway ||= (await tx.$count(files)) > 0;
            if (isAway) throw databaseProblems.create('unavailable');
            return result;
          }),
      }),
    });
    expect((await uploads.request('alice', 'PUT', '/api/files/by-name/x', { body: 'kept' })).status).toBe(503);
    expect(await uploads.filesOnDisk()).not.toEqual([]);
  });

  test('an account that is deleted during its upload is no longer signed in', async () => {
    await open();
    const connection = await connectRaw(uploads.url);
    connection.write(
      'PUT /api/files/by-name/x HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer alice\r\nContent-Length: 200000\r\n\r\n',
    );
    connection.write('1'.repeat(100_000));
    await eventually(async () => (await uploads.filesOnDisk()).length === 1);
    await uploads.deleteUser('alice');
    connection.write('2'.repeat(100_000));
    expect(await connection.until(/\}$/)).toContain('"code":"auth/required"');
    connection.close();
    await expectNothingKept();
  });

  test('missing bytes are a 503 that the log explains, never a crash', async () => {
    await open();
    const { id, url } = await uploads.upload('alice', 'a', 'x');
    for await (const key of uploads.store.list(`files/${id}/`)) await uploads.store.delete(key);
    expect((await uploads.request('alice', 'GET', url)).status).toBe(503);
    expect(uploads.log.lines).toContainEqual(
      expect.objectContaining({ level: 'error', message: 'the bytes of a file are missing' }),
    );
  });
});
