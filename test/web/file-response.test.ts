import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ByteRange } from '../../src/ports/object-store.ts';
import { parseRange } from '../../src/web/byte-ranges.ts';
import { contentProblems, fileResponse } from '../../src/web/file-response.ts';
import { parseHttpDate, toHttpDate } from '../../src/web/http-date.ts';
import { toProblemResponse } from '../../src/web/problems.ts';

const TEXT = 'abcdefghijklmnopqrstuvwxyz';
const ETAG = '"v1"';
const CHANGED = Date.UTC(2024, 1, 29, 12, 0, 0) + 789;
const SAME_SECOND = 'Thu, 29 Feb 2024 12:00:00 GMT';
const EARLIER = 'Thu, 29 Feb 2024 11:59:59 GMT';
const LATER = 'Thu, 29 Feb 2024 12:00:01 GMT';

/** Real sockets: the runtime has its own opinion on ranges of files, which must not show. */
let server: Bun.Server<undefined>;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bunkhouse-content-'));
  await writeFile(join(folder, 'secret-object-name'), TEXT);
  await writeFile(join(folder, 'empty'), '');
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    development: false,
    async fetch(request) {
      const isEmpty = new URL(request.url).pathname === '/empty';
      const isStream = new URL(request.url).pathname === '/stream';
      const blob = Bun.file(join(folder, isEmpty ? 'empty' : 'secret-object-name'));
      const size = isEmpty ? 0 : TEXT.length;
      const open = async (range?: ByteRange) => {
        const part = blob.slice(range?.first ?? 0, (range?.last ?? size - 1) + 1);
        return isStream ? part.stream() : part;
      };
      try {
        return await fileResponse(request, {
          size,
          type: 'text/plain',
          etag: ETAG,
          lastModified: CHANGED,
          headers: { 'cache-control': 'private, no-cache', 'x-extra': 'yes' },
          open,
        });
      } catch (error) {
        return toProblemResponse(error, { requestId: 'test', path: '/' });
      }
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  await rm(folder, { recursive: true, force: true });
});

function get(headers: Record<string, string> = {}, path = '/', method = 'GET'): Promise<Response> {
  return fetch(`http://127.0.0.1:${server.port}${path}`, { method, headers });
}

describe.each(['/', '/stream'])('content at %s', (path) => {
  test('is sent whole with its validators', async () => {
    const response = await get({}, path);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(TEXT);
    expect(headersOf(response)).toMatchObject({
      'accept-ranges': 'bytes',
      'content-type': 'text/plain',
      'last-modified': SAME_SECOND,
      etag: ETAG,
      'x-extra': 'yes',
    });
    expect(response.headers.get('content-disposition')).toBe('inline');
  });

  const single = [
    { range: 'bytes=0-0', content: 'a', contentRange: 'bytes 0-0/26' },
    { range: 'bytes=2-4', content: 'cde', contentRange: 'bytes 2-4/26' },
    { range: 'bytes=23-', content: 'xyz', contentRange: 'bytes 23-25/26' },
    { range: 'bytes=-2', content: 'yz', contentRange: 'bytes 24-25/26' },
    { range: 'bytes=-500', content: TEXT, contentRange: 'bytes 0-25/26' },
    { range: 'bytes=20-99999999999999999999999', content: 'uvwxyz', contentRange: 'bytes 20-25/26' },
    { range: 'BYTES=0-1', content: 'ab', contentRange: 'bytes 0-1/26' },
    { range: 'bytes= 0-1 ,,', content: 'ab', contentRange: 'bytes 0-1/26' },
    { range: 'bytes=0-1,50-60', content: 'ab', contentRange: 'bytes 0-1/26' },
    { range: 'bytes=0-2,3-4', content: 'abcde', contentRange: 'bytes 0-4/26' },
  ];
  test.each(single)('is cut to $range', async ({ range, content, contentRange }) => {
    const response = await get({ range }, path);
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(contentRange);
    expect(await response.text()).toBe(content);
    expect(response.headers.get('etag')).toBe(ETAG);
    expect(response.headers.get('content-disposition')).toBe('inline');
  });

  test('is sent in several parts, in the order asked for', async () => {
    const response = await get({ range: 'bytes=4-5,0-1,-1' }, path);
    expect(response.status).toBe(206);
    expect(response.headers.has('content-range')).toBe(false);
    const boundary = /^multipart\/byteranges; boundary=([\w-]+)$/.exec(response.headers.get('content-type') ?? '')?.[1];
    const part = (range: string, content: string) =>
      `\r\n--${boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes ${range}/26\r\n\r\n${content}`;
    expect(await response.text()).toBe(
      `${part('4-5', 'ef')}${part('0-1', 'ab')}${part('25-25', 'z')}\r\n--${boundary}--\r\n`,
    );
  });

  const ignored = [
    'bytes=9-1',
    'bytes=-',
    'bytes=',
    'bytes',
    'bytes=a-b',
    'bytes=1',
    'bytes=0-1,x',
    'bytes=--1',
    'bytes=1-2-3',
    'bytes=0x1-2',
    'bytes=+1-2',
    'items=0-1',
    'seconds=1-2',
    ' ',
    // Costs more than it saves.
    'bytes=0-,0-,0-',
    `bytes=${Array.from({ length: 13 }, (_, index) => `${index * 2}-${index * 2}`).join(',')},${'0-0,'.repeat(20)}`,
    `bytes=${'0-0,'.repeat(900)}`,
  ];
  test.each(ignored)('is sent whole for the range %p', async (range) => {
    const response = await get({ range }, path);
    expect(response.status).toBe(200);
    expect(response.headers.has('content-range')).toBe(false);
    expect(await response.text()).toBe(TEXT);
  });

  test.each(['bytes=26-', 'bytes=26-30', 'bytes=-0', 'bytes=99999999999999999999-', 'bytes=50-60,70-'])(
    'is refused for the range %p outside of it',
    async (range) => {
      const response = await get({ range }, path);
      expect(response.status).toBe(416);
      expect(response.headers.get('content-range')).toBe('bytes */26');
      expect(response.headers.get('content-type')).toBe('application/problem+json');
      expect(((await response.json()) as { code: string }).code).toBe('content/range-not-satisfiable');
    },
  );

  const conditions: { given: Record<string, string>; status: number }[] = [
    { given: { 'if-none-match': ETAG }, status: 304 },
    { given: { 'if-none-match': `W/${ETAG}` }, status: 304 },
    { given: { 'if-none-match': `"v0", ${ETAG}` }, status: 304 },
    { given: { 'if-none-match': '*' }, status: 304 },
    { given: { 'if-none-match': '"v0"' }, status: 200 },
    { given: { 'if-none-match': 'v1' }, status: 200 },
    { given: { 'if-modified-since': SAME_SECOND }, status: 304 },
    { given: { 'if-modified-since': LATER }, status: 304 },
    { given: { 'if-modified-since': EARLIER }, status: 200 },
    { given: { 'if-modified-since': 'yesterday' }, status: 200 },
    { given: { 'if-modified-since': '2024-02-29T12:00:00Z' }, status: 200 },
    // The tag decides where both are given (§13.1.3).
    { given: { 'if-none-match': '"v0"', 'if-modified-since': LATER }, status: 200 },
    { given: { 'if-none-match': ETAG, 'if-modified-since': EARLIER }, status: 304 },
    { given: { 'if-match': ETAG }, status: 200 },
    { given: { 'if-match': '*' }, status: 200 },
    { given: { 'if-match': `"v0", ${ETAG}` }, status: 200 },
    { given: { 'if-match': '"v0"' }, status: 412 },
    { given: { 'if-match': `W/${ETAG}` }, status: 412 },
    { given: { 'if-unmodified-since': EARLIER }, status: 412 },
    { given: { 'if-unmodified-since': SAME_SECOND }, status: 200 },
    { given: { 'if-unmodified-since': 'nonsense' }, status: 200 },
    { given: { 'if-match': ETAG, 'if-unmodified-since': EARLIER }, status: 200 },
    { given: { 'if-match': '"v0"', 'if-none-match': ETAG }, status: 412 },
    { given: { 'if-match': ETAG, 'if-none-match': ETAG }, status: 304 },
    // Preconditions come before the range (§13.2.2).
    { given: { 'if-none-match': ETAG, range: 'bytes=0-1' }, status: 304 },
    { given: { 'if-match': '"v0"', range: 'bytes=99-' }, status: 412 },
    { given: { range: 'bytes=0-1', 'if-range': ETAG }, status: 206 },
    { given: { range: 'bytes=0-1', 'if-range': SAME_SECOND }, status: 206 },
    { given: { range: 'bytes=0-1', 'if-range': '"v0"' }, status: 200 },
    { given: { range: 'bytes=0-1', 'if-range': `W/${ETAG}` }, status: 200 },
    { given: { range: 'bytes=0-1', 'if-range': LATER }, status: 200 },
    { given: { range: 'bytes=99-', 'if-range': '"v0"' }, status: 200 },
  ];
  const named = conditions.map(({ given, status }) => ({ given, status, headers: JSON.stringify(given) }));
  test.each(named)('answers $status for $headers', async ({ given, status }) => {
    const response = await get(given, path);
    const content = await response.text();
    expect(response.status).toBe(status);
    if (status === 200) expect([content, response.headers.get('content-range')]).toEqual([TEXT, null]);
    if (status === 304) {
      expect(headersOf(response)).toMatchObject({
        etag: ETAG,
        'cache-control': 'private, no-cache',
        'last-modified': SAME_SECOND,
      });
      expect([content, response.headers.has('content-type')]).toEqual(['', false]);
    }
    if (status === 412) expect(JSON.parse(content).code).toBe('content/precondition-failed');
  });

  test.each(['bytes=0-1', 'bytes=99-', 'bytes=9-1'])(
    'has the headers of the whole for HEAD with range %p',
    async (range) => {
      const response = await get({ range }, path, 'HEAD');
      expect(response.status).toBe(200);
      expect(headersOf(response)).toMatchObject({ 'content-length': '26', 'accept-ranges': 'bytes', etag: ETAG });
      expect(await response.text()).toBe('');
    },
  );
});

describe('empty content', () => {
  test.each([undefined, 'bytes=-5', 'bytes=9-1'])('is sent for the range %p', async (range) => {
    const response = await get(range === undefined ? {} : { range }, '/empty');
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(response.headers.get('content-length')).toBe('0');
  });

  test.each(['bytes=0-', 'bytes=0-0', 'bytes=-0'])('has nothing for the range %p', async (range) => {
    const response = await get({ range }, '/empty');
    expect([response.status, response.headers.get('content-range')]).toEqual([416, 'bytes */0']);
  });
});

test('a hundred thousand ranges cost nothing', () => {
  const header = `bytes=${Array.from({ length: 100_000 }, (_, index) => `${index * 2}-${index * 2}`).join(',')}`;
  const startedAt = performance.now();
  expect(parseRange(header, 1_000_000)).toEqual({ kind: 'whole' });
  expect(performance.now() - startedAt).toBeLessThan(50);
});

test('sixteen parts are sent and seventeen are not', () => {
  const ask = (count: number) =>
    parseRange(`bytes=${Array.from({ length: count }, (_, index) => `${index * 10}-${index * 10}`).join(',')}`, 1000);
  expect(ask(16)).toMatchObject({ kind: 'parts' });
  expect(ask(17)).toEqual({ kind: 'whole' });
});

test('a failure is one of the table', async () => {
  const request = new Request('http://localhost/', { headers: { 'if-match': '"other"' } });
  const open = async () => new Blob();
  const work = fileResponse(request, { size: 0, type: 'a/b', etag: ETAG, lastModified: 0, open });
  expect(contentProblems.is(await work.catch((error: unknown) => error), 'precondition-failed')).toBe(true);
});

const dates: { text: string; ms: number | null }[] = [
  { text: 'Sun, 06 Nov 1994 08:49:37 GMT', ms: 784_111_777_000 },
  { text: 'Sunday, 06-Nov-94 08:49:37 GMT', ms: 784_111_777_000 },
  { text: 'Sun Nov  6 08:49:37 1994', ms: 784_111_777_000 },
  { text: 'Sun, 06 Nov 1994 08:49:37', ms: null },
  { text: 'Sun, 06 Nov 1994 25:49:37 GMT', ms: null },
  { text: 'Sun, 06 Foo 1994 08:49:37 GMT', ms: null },
  { text: '784111777', ms: null },
  { text: '', ms: null },
];
test.each(dates)('reads the date $text', ({ text, ms }) => {
  expect(parseHttpDate(text)).toBe(ms);
});

test('writes the date form that it prefers', () => {
  expect(toHttpDate(784_111_777_999)).toBe('Sun, 06 Nov 1994 08:49:37 GMT');
});

function headersOf(response: Response): Record<string, string> {
  return Object.fromEntries(response.headers);
}
