import { afterEach, describe, expect, test } from 'bun:test';
import { fileLinks } from '../../../src/db/schema/uploads.ts';
import { createLinks } from '../../../src/modules/uploads/links.ts';
import type { ObjectStore } from '../../../src/ports/object-store.ts';
import { type FakeClock, fakeClock } from '../../support/fakes.ts';
import type { Person } from '../../support/people.ts';
import { halves } from '../../support/pictures.ts';
import { type FileAnswer, openUploads, type UploadsOptions } from './support.ts';

type Uploads = Awaited<ReturnType<typeof openUploads>>;
let uploads: Uploads;
let clock: FakeClock;
async function open(options: UploadsOptions = {}): Promise<Uploads> {
  clock = fakeClock();
  uploads = await openUploads({ clock, ...options });
  return uploads;
}
afterEach(async () => {
  expect(uploads.faults).toEqual([]);
  await uploads[Symbol.asyncDispose]();
});

interface LinkAnswer {
  readonly id: string;
  readonly url: string;
  readonly expiresAt: string;
}

const ask = (id: string, body: object, person: Person | null = 'alice') =>
  uploads.request(person, 'POST', `/api/files/${id}/links`, {
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  });
async function linkTo(file: FileAnswer, wish: object = {}): Promise<LinkAnswer> {
  const response = await ask(file.id, { expiresIn: 60, ...wish });
  expect(response.status).toBe(201);
  return (await response.json()) as LinkAnswer;
}
const codeOf = async (response: Response) => ((await response.json()) as { code?: string }).code;
const statusAndCode = async (response: Response) => [response.status, await codeOf(response)];
const OVER = [410, 'uploads/link-over'];
const INVALID = [403, 'uploads/invalid-link'];

describe('a link', () => {
  test('gives the content to anybody, as harmless as it always is', async () => {
    await open();
    const file = await uploads.upload('alice', 'page.html', '<script>alert(1)</script>');
    const link = await linkTo(file);
    expect(Object.keys(link).sort()).toEqual(['expiresAt', 'id', 'url']);
    expect(link.url).toStartWith(`${uploads.url}/api/files/${file.id}/content?`);
    const left = Date.parse(link.expiresAt) - clock.now();
    expect(left > 59_000 && left <= 61_000).toBe(true);
    const response = await fetch(link.url);
    expect([response.status, await response.text()]).toEqual([200, '<script>alert(1)</script>']);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-disposition': 'attachment; filename="page.html"',
      'content-security-policy': "sandbox; default-src 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'private, no-cache',
    });
    expect((await fetch(link.url, { headers: { range: 'bytes=1-6' } })).status).toBe(206);
    expect((await fetch(link.url, { method: 'HEAD' })).headers.get('content-length')).toBe('25');
    const tag = response.headers.get('etag') as string;
    expect((await fetch(link.url, { headers: { 'if-none-match': tag } })).status).toBe(304);
  });

  test('says how the content is offered, but never shows what could act', async () => {
    await open();
    const file = await uploads.upload('alice', 'a.txt', 'text');
    const page = await uploads.upload('alice', 'b.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>');
    const dispositionOf = async (url: string) => (await fetch(url)).headers.get('content-disposition')?.split(';')[0];
    expect(await dispositionOf((await linkTo(file)).url)).toBe('inline');
    expect(await dispositionOf((await linkTo(file, { disposition: 'attachment' })).url)).toBe('attachment');
    expect(await dispositionOf((await linkTo(page, { disposition: 'inline' })).url)).toBe('attachment');
  });

  test('is worthless when any part of it is another', async () => {
    await open();
    const [one, other] = [await uploads.upload('alice', 'one', '1'), await uploads.upload('alice', 'other', '2')];
    const url = new URL((await linkTo(one)).url);
    const change = (name: string, value: string | null) => {
      const changed = new URL(url);
      if (value === null) changed.searchParams.delete(name);
      else changed.searchParams.set(name, value);
      return changed;
    };
    const signature = url.searchParams.get('signature') as string;
    const expires = url.searchParams.get('expires') as string;
    const otherLink = new URL((await linkTo(other)).url).searchParams.get('link') as string;
    const forged = [
      change('expires', String(Number(expires) + 1)),
      change('expires', `0${expires}`),
      change('expires', '-1'),
      change('expires', null),
      change('link', otherLink),
      change('link', ''),
      change('link', '__proto__'),
      change('signature', null),
      change('signature', ''),
      change('signature', signature.slice(1)),
      change('signature', `${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`),
      new URL(url.href.replace(one.id, other.id)),
    ];
    for (const each of forged)
      expect([each.search, ...(await statusAndCode(await fetch(each)))]).toEqual([each.search, ...INVALID]);
    // Not even its owner gets past a link that is not ours.
    expect((await fetch(change('signature', ''), { headers: { authorization: 'Bearer alice' } })).status).toBe(403);
    expect((await fetch(url)).status).toBe(200);
    expect((await fetch(change('signature', 'x'.repeat(100)))).status).toBe(422);
  });

  test('ends when its time is over, when it is revoked, and with its file', async () => {
    await open();
    const file = await uploads.upload('alice', 'x', 'x');
    const [short, long] = [await linkTo(file, { expiresIn: 1 }), await linkTo(file, { expiresIn: 3600 })];
    clock.turn(2_000);
    expect(await statusAndCode(await fetch(short.url))).toEqual(OVER);
    expect((await fetch(long.url)).status).toBe(200);
    const revoke = (person: Person) => uploads.request(person, 'DELETE', `/api/files/${file.id}/links/${long.id}`);
    expect((await revoke('bob')).status).toBe(404);
    expect((await revoke('alice')).status).toBe(204);
    expect((await revoke('alice')).status).toBe(404);
    expect(await statusAndCode(await fetch(long.url))).toEqual(OVER);
    const last = await linkTo(file);
    await uploads.request('alice', 'DELETE', `/api/files/${file.id}`);
    expect(await statusAndCode(await fetch(last.url))).toEqual(OVER);
  });

  test('of another secret is not believed', async () => {
    await open();
    const file = await uploads.upload('alice', 'x', 'x');
    const { database, ids } = uploads;
    const links = createLinks({
      database,
      clock,
      key: new Uint8Array(32).fill(1),
      publicUrl: () => uploads.url,
      getOwned: async () => ({}) as never,
    });
    const caller = { kind: 'user', id: ids.alice, role: 'user' } as never;
    const { url } = await links.create(caller, file.id, { expiresIn: 60, disposition: null, isOnce: false });
    expect(await statusAndCode(await fetch(url))).toEqual(INVALID);
  });

  test('shows pictures of its file too', async () => {
    await open();
    const file = await uploads.upload('alice', 'x', halves(40, 20));
    const url = (await linkTo(file)).url.replace('/content?', '/image?width=16&format=webp&');
    const response = await fetch(url);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/webp']);
    const once = (await linkTo(file, { once: true })).url.replace('/content?', '/image?');
    expect(await statusAndCode(await fetch(once))).toEqual(INVALID);
  });
});

describe('a link for one use', () => {
  test('gives the content once, whole, and to nobody’s cache', async () => {
    await open();
    const { url } = await linkTo(await uploads.upload('alice', 'x', 'secret'), { once: true });
    const response = await fetch(url, { headers: { range: 'bytes=0-0' } });
    expect([response.status, await response.text(), response.headers.get('cache-control')]).toEqual([
      200,
      'secret',
      'no-store',
    ]);
    expect(await statusAndCode(await fetch(url))).toEqual(OVER);
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(410);
  });

  test('is given to one of many who come together', async () => {
    await open();
    for (const content of ['secret', '']) {
      const { url } = await linkTo(await uploads.upload('alice', 'x', content), { once: true });
      const statuses = await Promise.all(Array.from({ length: 30 }, async () => (await fetch(url)).status));
      expect(statuses.filter((status) => status === 200)).toHaveLength(1);
      expect(statuses.filter((status) => status === 410)).toHaveLength(29);
    }
  });

  test('is not used up by a look at its head, or by who has the content already', async () => {
    await open();
    const { url } = await linkTo(await uploads.upload('alice', 'x', 'secret'), { once: true });
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '6']);
    expect((await fetch(url, { headers: { 'if-none-match': head.headers.get('etag') as string } })).status).toBe(304);
    expect(await (await fetch(url)).text()).toBe('secret');
  });

  test('is not used up when the content could not be opened', async () => {
    let isDown = true;
    await open({
      wrapStore: (store) => ({
        ...store,
        get: (key, range) => (isDown ? Promise.resolve(null) : store.get(key, range)),
      }),
    });
    const { url } = await linkTo(await uploads.upload('alice', 'x', 'secret'), { once: true });
    expect((await fetch(url)).status).toBe(503);
    isDown = false;
    expect(await (await fetch(url)).text()).toBe('secret');
    expect((await fetch(url)).status).toBe(410);
  });
});

describe('links of a file', () => {
  test('are made, listed and revoked by its owner and admins alone', async () => {
    await open();
    const file = await uploads.upload('alice', 'x', 'x', { visibility: 'public' });
    expect((await ask(file.id, { expiresIn: 60 }, null)).status).toBe(401);
    expect((await ask(file.id, { expiresIn: 60 }, 'bob')).status).toBe(404);
    expect((await ask(file.id, { expiresIn: 60 }, 'root')).status).toBe(201);
    expect((await uploads.request('bob', 'GET', `/api/files/${file.id}/links`)).status).toBe(404);
    const once = await linkTo(file, { once: true, disposition: 'attachment' });
    await fetch(once.url);
    const page = await uploads.request('alice', 'GET', `/api/files/${file.id}/links?limit=1`);
    const { items, nextCursor } = (await page.json()) as { items: Record<string, unknown>[]; nextCursor: string };
    expect(items).toEqual([
      {
        id: once.id,
        disposition: 'attachment',
        once: true,
        createdAt: new Date(clock.now()).toISOString(),
        expiresAt: once.expiresAt,
        usedAt: new Date(clock.now()).toISOString(),
      },
    ]);
    expect(JSON.stringify(items)).not.toContain(new URL(once.url).searchParams.get('signature') as string);
    const rest = await uploads.request('alice', 'GET', `/api/files/${file.id}/links?cursor=${nextCursor}`);
    expect(((await rest.json()) as { items: unknown[] }).items).toHaveLength(1);
  });

  const wishes = [
    {},
    { expiresIn: 0 },
    { expiresIn: -1 },
    { expiresIn: 1.5 },
    { expiresIn: '60' },
    { expiresIn: 1e12 },
    { expiresIn: null },
    { expiresIn: 60, disposition: 'form-data' },
    { expiresIn: 60, once: 'yes' },
  ];
  test.each(wishes)('%j is answered with 422', async (wish) => {
    await open();
    const file = await uploads.upload('alice', 'x', 'x');
    expect(await statusAndCode(await ask(file.id, wish))).toEqual([422, 'request/invalid']);
  });

  test('are bounded in number, and swept a day after they expired', async () => {
    await open();
    const file = await uploads.upload('alice', 'x', 'x');
    const { database } = uploads;
    await database.write(async (tx) => {
      for (let index = 0; index < 1000; index++) {
        const id = `01890000-0000-7000-8000-${String(index).padStart(12, '0')}`;
        await tx
          .insert(fileLinks)
          .values({ id, fileId: file.id, isOnce: false, createdAt: 0, expiresAt: clock.now() + index });
      }
    });
    expect(await statusAndCode(await ask(file.id, { expiresIn: 60 }))).toEqual([409, 'uploads/too-many-links']);
    const links = createLinks({
      database,
      clock,
      key: new Uint8Array(32),
      publicUrl: () => '',
      getOwned: async () => ({}) as never,
    });
    clock.turn(24 * 3_600_000 + 500);
    await links.sweep();
    expect(await database.read.select().from(fileLinks)).toHaveLength(500);
  });
});

describe('a download that is sent on to the store', () => {
  const withDirect = (store: ObjectStore): ObjectStore => ({
    ...store,
    direct: {
      downloadUrl: async (key: string, options: object) =>
        `https://bucket.test/${key}?${new URLSearchParams(options as never)}`,
    } as never,
  });
  const get = (file: FileAnswer, init: RequestInit = {}) =>
    uploads.request('alice', 'GET', file.url, { redirect: 'manual', ...init });

  test('says where, for this caller alone, and how the content is to be taken', async () => {
    await open({ redirectsDownloads: true, wrapStore: withDirect });
    const file = await uploads.upload('alice', 'é.html', '<html>');
    const response = await get(file);
    expect([response.status, response.headers.get('cache-control')]).toEqual([302, 'no-store']);
    const location = new URL(response.headers.get('location') as string);
    expect(location.href).toStartWith(`https://bucket.test/files/${file.id}/`);
    expect(Object.fromEntries(location.searchParams)).toEqual({
      expiresInSeconds: '300',
      type: 'text/html',
      disposition: `attachment; filename="_.html"; filename*=UTF-8''%C3%A9.html`,
      cacheControl: 'private, no-cache',
    });
  });

  test('is not, when there is nothing to send, nobody may have it, or it may be had once', async () => {
    await open({ redirectsDownloads: true, wrapStore: withDirect });
    const file = await uploads.upload('alice', 'x', 'x');
    expect((await get(file, { headers: { 'if-none-match': `"${file.sha256}"` } })).status).toBe(304);
    expect((await get(file, { headers: { 'if-match': '"other"' } })).status).toBe(412);
    expect((await uploads.request('alice', 'HEAD', file.url)).status).toBe(200);
    expect((await uploads.request('bob', 'GET', file.url, { redirect: 'manual' })).status).toBe(404);
    expect((await uploads.request(null, 'GET', file.url, { redirect: 'manual' })).status).toBe(401);
    const { url } = await linkTo(file, { once: true });
    expect(await (await fetch(url, { redirect: 'manual' })).text()).toBe('x');
  });

  test('is not, when the store cannot be reached by clients or nobody wanted it', async () => {
    await open({ redirectsDownloads: true });
    expect((await get(await uploads.upload('alice', 'x', 'x'))).status).toBe(200);
    await uploads[Symbol.asyncDispose]();
    await open({ wrapStore: withDirect });
    expect((await get(await uploads.upload('alice', 'x', 'x'))).status).toBe(200);
  });
});
