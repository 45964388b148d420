import { afterEach, describe, expect, test } from 'bun:test';
import { fileVariants } from '../../../src/db/schema/uploads.ts';
import { eventually } from '../../support/eventually.ts';
import type { Person } from '../../support/people.ts';
import { ANIMATED_GIF, bomb, halves, jpeg, noise, POLYGLOT, sizeOf, withExif } from '../../support/pictures.ts';
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

const picture = (id: string, query = '', init: RequestInit = {}, person: Person | null = 'alice') =>
  uploads.request(person, 'GET', `/api/files/${id}/image${query}`, init);
const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());
const codeOf = async (response: Response) => ((await response.json()) as { code?: string }).code;
const variants = () => uploads.database.read.select().from(fileVariants);
const objects = async () => (await uploads.filesOnDisk()).length;

/** Counts how often pictures are made. */
function counted(): { options: UploadsOptions; made: () => number } {
  let made = 0;
  return {
    made: () => made,
    options: {
      wrapImages: (images) => ({
        ...images,
        render(source, recipe) {
          made++;
          return images.render(source, recipe);
        },
      }),
    },
  };
}

describe('the picture of a file', () => {
  test('comes in the size and format asked for, as harmless content with a tag', async () => {
    await open();
    const { id } = await uploads.upload('alice', 'été "1".png', halves(400, 200));
    const response = await picture(id, '?width=100&height=100&fit=cover&format=webp&quality=70');
    expect(response.status).toBe(200);
    expect(await sizeOf(await bytesOf(response))).toBe('100x100');
    const headers = Object.fromEntries(response.headers);
    expect(headers).toMatchObject({
      'content-type': 'image/webp',
      'content-security-policy': "sandbox; default-src 'none'",
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-cache',
      'content-disposition': `inline; filename="_t_ _1_.webp"; filename*=UTF-8''%C3%A9t%C3%A9%20%221%22.webp`,
    });
    expect(response.headers.has('vary')).toBe(false);
    const again = await picture(id, '?width=100&height=100&fit=cover&format=webp&quality=70', {
      headers: { 'if-none-match': headers['etag'] as string },
    });
    expect(again.status).toBe(304);
    const head = await uploads.request(
      'alice',
      'HEAD',
      `/api/files/${id}/image?width=100&height=100&fit=cover&format=webp&quality=70`,
    );
    expect([head.status, head.headers.get('content-length')]).toEqual([200, headers['content-length'] as string]);
    const part = await picture(id, '?width=100&height=100&fit=cover&format=webp&quality=70', {
      headers: { range: 'bytes=0-3' },
    });
    expect([part.status, await part.text()]).toEqual([206, 'RIFF']);
  });

  const negotiated: {
    type: string;
    source: () => Promise<Uint8Array> | Uint8Array;
    accept: string | null;
    answer: string;
  }[] = [
    { type: 'PNG', source: () => halves(20, 10), accept: 'image/avif,image/webp,*/*;q=0.8', answer: 'image/webp' },
    { type: 'PNG', source: () => halves(20, 10), accept: '*/*', answer: 'image/png' },
    { type: 'PNG', source: () => halves(20, 10), accept: 'image/webp;q=0, image/png', answer: 'image/png' },
    { type: 'JPEG', source: () => jpeg(halves(20, 10)), accept: '*/*', answer: 'image/jpeg' },
    { type: 'JPEG', source: () => jpeg(halves(20, 10)), accept: 'IMAGE/WEBP', answer: 'image/webp' },
    { type: 'GIF', source: () => ANIMATED_GIF, accept: 'image/*', answer: 'image/png' },
    { type: 'polyglot', source: () => POLYGLOT, accept: '*/*', answer: 'image/png' },
  ];
  test.each(negotiated)(
    'of a $type without a format is $answer for Accept: $accept',
    async ({ source, accept, answer }) => {
      await open();
      const { id } = await uploads.upload('alice', 'x', (await source()) as BlobPart);
      const response = await picture(id, '', { headers: accept === null ? {} : { accept } });
      expect([response.status, response.headers.get('content-type'), response.headers.get('vary')]).toEqual([
        200,
        answer,
        'Accept',
      ]);
    },
  );

  test('is one for all wishes within a step, and kept', async () => {
    const { options, made } = counted();
    await open(options);
    const { id } = await uploads.upload('alice', 'x', halves(400, 200));
    const tags = new Set<string | null>();
    for (const query of [
      '?width=101&format=png',
      '?width=128&format=png&quality=3',
      '?width=120&fit=cover&format=png',
    ]) {
      const response = await picture(id, query);
      expect(await sizeOf(await bytesOf(response))).toBe('128x64');
      tags.add(response.headers.get('etag'));
    }
    expect([tags.size, made(), (await variants()).length]).toEqual([1, 1, 1]);
  });

  test('is made once however many ask at once', async () => {
    const { options, made } = counted();
    await open(options);
    const { id } = await uploads.upload('alice', 'x', noise(300, 300));
    const responses = await Promise.all(Array.from({ length: 20 }, () => picture(id, '?width=64&format=jpeg')));
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
    expect(made()).toBe(1);
    expect(await objects()).toBe(2);
  });

  test('goes with its file, and with the content it was made from', async () => {
    await open();
    const { id } = (await (
      await uploads.request('alice', 'PUT', '/api/files/by-name/x', { body: halves(40, 20) })
    ).json()) as FileAnswer;
    expect(await sizeOf(await bytesOf(await picture(id, '?format=png')))).toBe('40x20');
    await uploads.request('alice', 'PUT', '/api/files/by-name/x', { body: halves(20, 40) });
    await eventually(async () => (await objects()) === 1);
    expect(await variants()).toEqual([]);
    expect(await sizeOf(await bytesOf(await picture(id, '?format=png')))).toBe('20x40');
    expect(await objects()).toBe(2);
    await uploads.request('alice', 'DELETE', `/api/files/${id}`);
    await eventually(async () => (await objects()) === 0);
  });

  test('is bounded in number for one file', async () => {
    await open();
    const { id } = await uploads.upload('alice', 'x', halves(8, 8));
    for (let quality = 5; quality <= 100; quality += 5) {
      for (const width of [16, 24, 32, 48, 64, 80]) {
        expect((await picture(id, `?width=${width}&quality=${quality}&format=webp`)).status).toBe(200);
      }
    }
    expect((await variants()).length).toBe(100);
    await eventually(async () => (await objects()) === 101);
  }, 30_000);

  test('is bounded in bytes for one file: the oldest go, the newest stays', async () => {
    const MIB = 2 ** 20;
    let bytes = 9 * MIB;
    await open({
      wrapImages: (images) => ({
        ...images,
        render: async () => ({ status: 'done', result: { bytes: new Uint8Array(bytes), width: 1, height: 1 } }),
      }),
    });
    const { id } = await uploads.upload('alice', 'x', halves(8, 8));
    for (const width of [16, 24, 32]) await picture(id, `?width=${width}&format=webp`);
    expect((await variants()).map(({ recipe }) => recipe).filter((recipe) => recipe.includes('16'))).toEqual([]);
    expect(await variants()).toHaveLength(2);
    bytes = 30 * MIB;
    expect((await picture(id, '?width=48&format=webp')).status).toBe(200);
    expect((await variants()).map(({ size }) => size)).toEqual([bytes]);
    await eventually(async () => (await objects()) === 2);
  });

  test('is made again when its object was lost', async () => {
    await open();
    const { id } = await uploads.upload('alice', 'x', halves(8, 8));
    await picture(id);
    for await (const key of uploads.store.list('variants/')) await uploads.store.delete(key);
    expect((await picture(id)).status).toBe(503);
    expect((await picture(id)).status).toBe(200);
  });

  test('is seen by those who see the file', async () => {
    await open();
    const { id } = await uploads.upload('alice', 'x', halves(8, 8));
    expect((await picture(id, '', {}, null)).status).toBe(401);
    expect((await picture(id, '', {}, 'bob')).status).toBe(404);
    expect((await picture(id, '', {}, 'root')).status).toBe(200);
    const shown = await uploads.upload('alice', 'y', halves(8, 8), { visibility: 'public' });
    const response = await picture(shown.id, '', {}, null);
    expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'public, no-cache']);
  });

  test('says nothing of where it was taken', async () => {
    await open();
    const { id } = await uploads.upload(
      'alice',
      'x.jpg',
      withExif(await jpeg(halves(64, 32)), 6, 'GPS 48.8584') as BlobPart,
    );
    const bytes = await bytesOf(await picture(id, '?format=jpeg'));
    expect([await sizeOf(bytes), Buffer.from(bytes).includes('GPS')]).toEqual(['32x64', false]);
  });
});

describe('what gives no picture', () => {
  const faulty: { what: string; source: () => BlobPart; code: string }[] = [
    { what: 'a text', source: () => 'hello', code: 'uploads/not-an-image' },
    {
      what: 'SVG with a script',
      source: () => '<svg xmlns="http://www.w3.org/2000/svg"><script>x</script></svg>',
      code: 'uploads/not-an-image',
    },
    { what: 'a bomb', source: () => bomb(60_000, 60_000), code: 'uploads/image-too-large' },
    { what: 'a damaged PNG', source: () => noise(50, 50).subarray(0, 5000), code: 'uploads/not-an-image' },
    { what: 'an empty file', source: () => '', code: 'uploads/not-an-image' },
  ];
  test.each(faulty)('$what is answered with $code, each time', async ({ source, code }) => {
    const { options, made } = counted();
    await open(options);
    const { id } = await uploads.upload('alice', 'x', source());
    for (let count = 0; count < 3; count++) {
      const response = await picture(id, '?width=100');
      expect([response.status, await codeOf(response)]).toEqual([422, code]);
    }
    expect(made()).toBeLessThanOrEqual(1);
    expect(await objects()).toBe(1);
  });

  test('a decoder that dies is a problem for that picture alone', async () => {
    await open({ wrapImages: (images) => ({ ...images, render: async () => ({ status: 'too-costly' }) }) });
    const { id } = await uploads.upload('alice', 'x', halves(8, 8));
    expect(await codeOf(await picture(id))).toBe('uploads/image-too-large');
  });

  test('more wishes than can wait are told to come back', async () => {
    const gate = Promise.withResolvers<void>();
    await open({
      wrapImages: (images) => ({
        ...images,
        async render(source, recipe) {
          await gate.promise;
          return images.render(source, recipe);
        },
      }),
    });
    const { id } = await uploads.upload('alice', 'x', halves(8, 8));
    const wishes: Promise<Response>[] = [];
    for (let quality = 5; quality <= 100; quality += 5) {
      for (const width of [16, 24, 32, 48]) wishes.push(picture(id, `?width=${width}&quality=${quality}&format=webp`));
    }
    const first = await Promise.race(wishes);
    expect([first.status, await codeOf(first), first.headers.has('retry-after')]).toEqual([503, 'server/busy', true]);
    gate.resolve();
    const statuses = (await Promise.all(wishes)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(64);
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
  }, 30_000);

  test('strangers leave places to those who are signed in', async () => {
    const gate = Promise.withResolvers<void>();
    await open({
      wrapImages: (images) => ({
        ...images,
        async render(source, recipe) {
          await gate.promise;
          return images.render(source, recipe);
        },
      }),
    });
    const { id } = await uploads.upload('alice', 'x', halves(8, 8), { visibility: 'public' });
    const wishes: Promise<Response>[] = [];
    for (let quality = 5; quality <= 100; quality += 5) {
      for (const width of [16, 24, 32, 48]) {
        wishes.push(picture(id, `?width=${width}&quality=${quality}&format=webp`, {}, null));
      }
    }
    expect((await Promise.race(wishes)).status).toBe(503);
    const own = picture(id, '?width=64&format=jpeg');
    // Whoever is turned away is so at once.
    const late = await picture(id, '?width=80&format=jpeg', {}, null);
    expect([late.status, await codeOf(late)]).toEqual([503, 'server/busy']);
    gate.resolve();
    expect((await own).status).toBe(200);
    await Promise.all(wishes);
  }, 30_000);

  const queries = [
    'width=0',
    'width=-1',
    'width=1.5',
    'width=abc',
    'width=',
    'width=NaN',
    'width=Infinity',
    'width=1e9',
    'height=99999999999999999999',
    'width=1&width=x',
    'fit=contain',
    'fit=',
    'fit=__proto__',
    'format=svg',
    'format=avif',
    'format=gif',
    'format=constructor',
    'quality=0',
    'quality=101',
    'quality=-5',
    'quality=80.5',
    'quality=%00',
    'width=%F0%9F%99%82',
  ];
  test.each(queries)('?%s is answered with 422', async (query) => {
    await open();
    const { id } = await uploads.upload('alice', 'x', halves(8, 8));
    const response = await picture(id, `?${query}`);
    expect([response.status, await codeOf(response)]).toEqual([422, 'request/invalid']);
  });

  test.each(['width=99999', 'unknown=1', 'width=16&height=2560&fit=cover', 'quality=1', 'width=%31%36'])(
    '?%s is answered',
    async (query) => {
      await open();
      const { id } = await uploads.upload('alice', 'x', halves(8, 8));
      expect((await picture(id, `?${query}`)).status).toBe(200);
    },
  );
});

describe('the ThumbHash', () => {
  const described = async (id: string) =>
    (await (await uploads.request('alice', 'GET', `/api/files/${id}`)).json()) as FileAnswer;

  test('appears soon after the upload, for images alone, and follows the content', async () => {
    await open();
    const { id } = await uploads.upload('alice', 'x', halves(64, 32));
    const text = await uploads.upload('alice', 'y', 'hello');
    const broken = await uploads.upload('alice', 'z', bomb(60_000, 60_000));
    await eventually(async () => (await described(id)).thumbhash !== undefined);
    const first = (await described(id)).thumbhash as string;
    expect(Buffer.from(first, 'base64').length).toBeGreaterThan(10);
    expect([(await described(text.id)).thumbhash, (await described(broken.id)).thumbhash]).toEqual([
      undefined,
      undefined,
    ]);
    await uploads.request('alice', 'PUT', '/api/files/by-name/x', { body: halves(32, 64) });
    await eventually(async () => ![undefined, first].includes((await described(id)).thumbhash));
    await uploads.request('alice', 'PUT', '/api/files/by-name/x', { body: 'a text' });
    expect((await described(id)).thumbhash).toBeUndefined();
  });

  test('is made later when it could not be made at first', async () => {
    let isDown = true;
    await open({
      wrapImages: (images) => ({
        ...images,
        thumbhash: (source) => (isDown ? Promise.reject(new Error('gone')) : images.thumbhash(source)),
      }),
    });
    const { id } = await uploads.upload('alice', 'x', halves(64, 32));
    await eventually(async () =>
      uploads.log.lines.some(({ message }) => message === 'a ThumbHash could not be made yet'),
    );
    isDown = false;
    // Anything that happens makes it look again.
    await uploads.upload('alice', 'y', 'hello');
    await eventually(async () => (await described(id)).thumbhash !== undefined);
  });
});
