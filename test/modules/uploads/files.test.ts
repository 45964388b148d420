import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { eventually } from '../../support/eventually.ts';
import type { Person } from '../../support/people.ts';
import { type FileAnswer, openUploads } from './support.ts';

type Uploads = Awaited<ReturnType<typeof openUploads>>;
let uploads: Uploads;
beforeAll(async () => {
  uploads = await openUploads();
});
afterAll(async () => {
  expect(uploads.faults).toEqual([]);
  await uploads[Symbol.asyncDispose]();
});

const MISSING = '01890000-0000-7000-8000-000000000000';

async function json<T>(response: Response): Promise<T> {
  return (await response.json()) as T;
}

describe('uploading a form', () => {
  test('keeps every file in the order sent and describes it', async () => {
    const form = new FormData();
    form.append('file', new File(['one'], '../é "1".txt'));
    form.append('visibility', 'public');
    form.append('file', new File([], 'empty'));
    form.append('other', 'ignored');
    const response = await uploads.request('alice', 'POST', '/api/files', { body: form });
    expect(response.status).toBe(201);
    const { items } = await json<{ items: FileAnswer[] }>(response);
    expect(items.map(({ name, size, type, visibility }) => ({ name, size, type, visibility }))).toEqual([
      { name: '../é "1".txt', size: 3, type: 'text/plain;charset=utf-8', visibility: 'public' },
      { name: 'empty', size: 0, type: 'application/octet-stream', visibility: 'public' },
    ]);
    const [first] = items as [FileAnswer];
    expect(Object.keys(first).sort()).toEqual([
      'createdAt',
      'id',
      'name',
      'sha256',
      'size',
      'type',
      'updatedAt',
      'url',
      'visibility',
    ]);
    expect(first.url).toBe(`/api/files/${first.id}/content`);
    expect(new Date(first.createdAt).toISOString()).toBe(first.createdAt);
    expect(first.sha256).toBe('7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed');
    expect(uploads.told).toContainEqual({
      name: 'files/created',
      event: { fileId: first.id, ownerId: uploads.ids.alice },
    });
  });

  test('does not believe what the client says of the type', async () => {
    const file = await uploads.upload('alice', 'x.png', new Blob(['<script>alert(1)</script>'], { type: 'image/png' }));
    expect(file.type).toBe('text/html');
  });
});

describe('putting a file by name', () => {
  const put = (name: string, body: string, person: Person = 'alice') =>
    uploads.request(person, 'PUT', `/api/files/by-name/${name}`, { body });

  test('makes a private file, then replaces its content under the same id', async () => {
    const made = await put('replaced.txt', 'first');
    expect(made.status).toBe(201);
    const before = await json<FileAnswer>(made);
    expect(before).toMatchObject({ name: 'replaced.txt', size: 5, visibility: 'private' });

    const replaced = await put('replaced.txt', 'second!');
    expect(replaced.status).toBe(200);
    const after = await json<FileAnswer>(replaced);
    expect(after).toMatchObject({ id: before.id, size: 7, createdAt: before.createdAt });
    expect(after.sha256).not.toBe(before.sha256);
    expect(await (await uploads.request('alice', 'GET', after.url)).text()).toBe('second!');
    // Only one of the two objects remains.
    await eventually(async () => (await uploads.filesOnDisk()).filter((name) => name.includes(before.id)).length === 1);
  });

  const names = [
    { path: 'a%2Fb', name: 'a/b' },
    { path: '..%2F..%2Fetc', name: '../../etc' },
    { path: '%22quoted%22', name: '"quoted"' },
    { path: '%F0%9F%99%82', name: '🙂' },
    { path: 'a%252Fb', name: 'a%2Fb' },
    { path: 'a+b', name: 'a+b' },
    { path: '__proto__', name: '__proto__' },
    { path: 'e%CC%81', name: '\u00e9' },
  ];
  test.each(names)('takes $path as the name $name', async ({ path, name }) => {
    expect((await json<FileAnswer>(await put(path, 'x'))).name).toBe(name);
  });

  const faulty = [
    { path: 'a%zz', status: 400, code: 'request/malformed' },
    { path: '%ff', status: 400, code: 'request/malformed' },
    { path: 'nul%00', status: 422, code: 'uploads/invalid-name' },
    { path: 'line%0A', status: 422, code: 'uploads/invalid-name' },
    { path: 'x'.repeat(256), status: 422, code: 'uploads/invalid-name' },
  ];
  test.each(faulty)('answers $code for the path $path', async ({ path, status, code }) => {
    const response = await put(path, 'x');
    expect([response.status, (await json<{ code: string }>(response)).code]).toEqual([status, code]);
  });

  test('keeps people apart who use one name', async () => {
    const [mine, theirs] = [await put('shared', 'a'), await put('shared', 'b', 'bob')];
    expect([mine.status, theirs.status]).toEqual([201, 201]);
    expect((await json<FileAnswer>(mine)).id).not.toBe((await json<FileAnswer>(theirs)).id);
  });

  test('makes one file when the same new name is put many times at once', async () => {
    const responses = await Promise.all(Array.from({ length: 8 }, (_, index) => put('raced', `content ${index}`)));
    expect(responses.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 200, 200, 201]);
    const answers = await Promise.all(responses.map((response) => json<FileAnswer>(response)));
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    const content = await (await uploads.request('alice', 'GET', (answers[0] as FileAnswer).url)).text();
    expect(content).toMatch(/^content \d$/);
  });

  test('keeps an empty body', async () => {
    const response = await uploads.request('alice', 'PUT', '/api/files/by-name/nothing');
    expect([response.status, (await json<FileAnswer>(response)).size]).toEqual([201, 0]);
  });
});

describe('the list of files', () => {
  test('shows own files, newest first, page by page', async () => {
    const made: string[] = [];
    for (let count = 0; count < 5; count++) made.push((await uploads.upload('root', `list ${count}`, 'x')).id);
    const seen: string[] = [];
    let cursor: string | null = null;
    let pages = 0;
    do {
      const query: string = cursor === null ? '?limit=2' : `?limit=2&cursor=${encodeURIComponent(cursor)}`;
      const page: { items: FileAnswer[]; nextCursor: string | null } = await json(
        await uploads.request('root', 'GET', `/api/files${query}`),
      );
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor;
      pages++;
    } while (cursor !== null);
    expect(seen).toEqual([...made].reverse());
    expect(pages).toBe(3);
  });

  test('goes on in place when files come and go between the pages', async () => {
    const old = await uploads.upload('bob', 'older', 'x');
    const last = await uploads.upload('bob', 'last', 'x');
    const { nextCursor } = await json<{ nextCursor: string }>(
      await uploads.request('bob', 'GET', '/api/files?limit=1'),
    );
    await uploads.upload('bob', 'newer', 'x');
    await uploads.request('bob', 'DELETE', `/api/files/${last.id}`);
    const page = await json<{ items: FileAnswer[] }>(
      await uploads.request('bob', 'GET', `/api/files?limit=1&cursor=${nextCursor}`),
    );
    expect(page.items.map(({ id }) => id)).toEqual([old.id]);
  });

  test.each([
    'limit=0',
    'limit=201',
    'limit=x',
    'limit=1.5',
    'cursor=nonsense',
    'cursor=',
    `cursor=${'x'.repeat(600)}`,
  ])('answers 422 for ?%s', async (query) => {
    const response = await uploads.request('alice', 'GET', `/api/files?${query}`);
    expect([response.status, (await json<{ code: string }>(response)).code]).toEqual([422, 'request/invalid']);
  });
});

describe('changing and deleting', () => {
  test('renames and publishes', async () => {
    const { id } = await uploads.upload('alice', 'before', 'x');
    const change = (body: object) =>
      uploads.request('alice', 'PATCH', `/api/files/${id}`, {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      });
    expect(await json<FileAnswer>(await change({ name: 'after' }))).toMatchObject({
      name: 'after',
      visibility: 'private',
    });
    expect(await json<FileAnswer>(await change({ visibility: 'public' }))).toMatchObject({
      name: 'after',
      visibility: 'public',
    });
    expect((await change({ name: 'nul\0' })).status).toBe(422);
    expect((await change({ name: '' })).status).toBe(422);
    expect((await change({ name: 7 })).status).toBe(422);
    expect((await change({ visibility: 'everybody' })).status).toBe(422);
    expect(await json<FileAnswer>(await uploads.request('alice', 'GET', `/api/files/${id}`))).toMatchObject({
      name: 'after',
    });
  });

  test('deletes the file and its bytes, and tells of it', async () => {
    const { id, url } = await uploads.upload('alice', 'doomed', 'x');
    const response = await uploads.request('alice', 'DELETE', `/api/files/${id}`);
    expect([response.status, await response.text()]).toEqual([204, '']);
    expect((await uploads.request('alice', 'GET', url)).status).toBe(404);
    expect((await uploads.request('alice', 'DELETE', `/api/files/${id}`)).status).toBe(404);
    expect(uploads.told).toContainEqual({ name: 'files/deleted', event: { fileId: id, ownerId: uploads.ids.alice } });
    await eventually(async () => !(await uploads.filesOnDisk()).some((name) => name.includes(id)));
  });
});

describe('who may do what', () => {
  const cases: { who: Person | 'stranger' | 'server' | null; read: number; readPublic: number; change: number }[] = [
    { who: 'alice', read: 200, readPublic: 200, change: 200 },
    { who: 'root', read: 200, readPublic: 200, change: 200 },
    { who: 'bob', read: 404, readPublic: 200, change: 404 },
    { who: 'server', read: 200, readPublic: 200, change: 403 },
    { who: 'stranger', read: 401, readPublic: 200, change: 401 },
    { who: null, read: 401, readPublic: 200, change: 401 },
  ];
  test.each(cases)('$who with the files of alice', async ({ who, read, readPublic, change }) => {
    const secret = await uploads.upload('alice', 'secret', 'x');
    const open = await uploads.upload('alice', 'open', 'x', { visibility: 'public' });
    const status = async (method: string, path: string, body?: string) => {
      const headers = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body };
      return (await uploads.request(who as Person, method, path, headers)).status;
    };
    for (const path of [`/api/files/${secret.id}`, secret.url]) expect(await status('GET', path)).toBe(read);
    for (const path of [`/api/files/${open.id}`, open.url]) expect(await status('GET', path)).toBe(readPublic);
    for (const { id } of [secret, open]) {
      expect(await status('PATCH', `/api/files/${id}`, '{"name":"taken"}')).toBe(change);
      expect(await status('DELETE', `/api/files/${id}`)).toBe(change === 200 ? 204 : change);
    }
  });

  test('whether a file exists does not show to those who may not read it', async () => {
    const { id } = await uploads.upload('alice', 'secret', 'x');
    const answer = async (person: Person | null, file: string, suffix: string) => {
      const response = await uploads.request(person, 'GET', `/api/files/${file}${suffix}`);
      const { requestId: _, instance: __, ...body } = await json<Record<string, unknown>>(response);
      return { status: response.status, body };
    };
    for (const person of ['bob', null] as const) {
      for (const suffix of ['', '/content']) {
        expect(await answer(person, id, suffix)).toEqual(await answer(person, MISSING, suffix));
        expect(await answer(person, 'not-even-an-id', suffix)).toEqual(await answer(person, MISSING, suffix));
      }
    }
  });

  test.each([
    ['POST', '/api/files'],
    ['PUT', '/api/files/by-name/x'],
    ['GET', '/api/files'],
  ])('%s %s needs an account', async (method, path) => {
    expect((await uploads.request(null, method, path)).status).toBe(401);
    expect((await uploads.request('server' as Person, method, path)).status).toBe(403);
  });
});

describe('content', () => {
  const kinds = [
    { content: 'text', type: 'text/plain;charset=utf-8', kind: 'inline' },
    { content: '<svg xmlns="http://www.w3.org/2000/svg"/>', type: 'image/svg+xml', kind: 'attachment' },
    { content: '<!doctype html><script>alert(1)</script>', type: 'text/html', kind: 'attachment' },
    { content: '%PDF-1.7\n', type: 'application/pdf', kind: 'attachment' },
    { content: 'GIF89a\x01\x00\x01\x00\x00\x00\x00;', type: 'image/gif', kind: 'inline' },
    { content: '\0\x01\x02', type: 'application/octet-stream', kind: 'attachment' },
  ];
  test.each(kinds)('of type $type is sent $kind and cannot act', async ({ content, type, kind }) => {
    const { url } = await uploads.upload('alice', 'näme "x".bin', content);
    const response = await uploads.request('alice', 'GET', url);
    expect(await response.text()).toBe(content);
    expect(response.headers.get('content-type')).toBe(type);
    expect(response.headers.get('content-disposition')).toBe(
      `${kind}; filename="n_me _x_.bin"; filename*=UTF-8''n%C3%A4me%20%22x%22.bin`,
    );
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('content-security-policy')).toBe("sandbox; default-src 'none'");
    const download = await uploads.request('alice', 'GET', `${url}?download=1`);
    expect(download.headers.get('content-disposition')).toStartWith('attachment;');
  });

  test('is private or public to caches as the file is', async () => {
    const secret = await uploads.upload('alice', 'a', 'x');
    const open = await uploads.upload('alice', 'a', 'x', { visibility: 'public' });
    expect((await uploads.request('alice', 'GET', secret.url)).headers.get('cache-control')).toBe('private, no-cache');
    expect((await uploads.request(null, 'GET', open.url)).headers.get('cache-control')).toBe('public, no-cache');
  });

  test('answers HEAD, ranges and conditions', async () => {
    const { url, sha256 } = await uploads.upload('alice', 'digits', '0123456789');
    const ask = (headers: Record<string, string>, method = 'GET') => uploads.request('alice', method, url, { headers });
    const head = await ask({ range: 'bytes=0-1' }, 'HEAD');
    expect([head.status, head.headers.get('content-length'), head.headers.get('etag')]).toEqual([
      200,
      '10',
      `"${sha256}"`,
    ]);
    expect(await head.text()).toBe('');
    expect(await (await ask({ range: 'bytes=-3' })).text()).toBe('789');
    expect((await ask({ 'if-none-match': `"${sha256}"` })).status).toBe(304);
    expect((await ask({ 'if-none-match': `"${sha256}"` }, 'HEAD')).status).toBe(304);
    expect((await ask({ range: 'bytes=10-' })).status).toBe(416);
    expect((await uploads.request('bob', 'HEAD', url)).status).toBe(404);
  });

  test('changes its tag when it is replaced', async () => {
    const first = await json<FileAnswer>(
      await uploads.request('alice', 'PUT', '/api/files/by-name/tagged', { body: 'first' }),
    );
    const tag = (await uploads.request('alice', 'GET', first.url)).headers.get('etag') as string;
    await uploads.request('alice', 'PUT', '/api/files/by-name/tagged', { body: 'other' });
    const resumed = await uploads.request('alice', 'GET', first.url, {
      headers: { range: 'bytes=2-', 'if-range': tag },
    });
    expect([resumed.status, await resumed.text()]).toEqual([200, 'other']);
  });
});
