import { expect, test } from 'bun:test';
import { halves } from '../../support/pictures.ts';
import { openUploads } from './support.ts';

const WORDS = [
  '0',
  '1',
  '-1',
  '16',
  '9'.repeat(30),
  '1e3',
  '0x10',
  ' ',
  '',
  'null',
  '__proto__',
  '%00',
  '%ff',
  'é',
  '../',
  '[]',
  'true',
  'webp',
  'cover',
];
const NAMES = [
  'width',
  'height',
  'fit',
  'format',
  'quality',
  'link',
  'expires',
  'signature',
  'download',
  '__proto__',
  'constructor',
  'x[]',
];
const HEADERS: Record<string, readonly string[]> = {
  range: [
    'bytes=',
    'bytes=-',
    'bytes=0-0',
    'bytes=9-1',
    'bytes=0-0,2-3,-1',
    'bytes=99999999999999999999-',
    'items=1-2',
    'bytes=,,,',
    'bytes=0-,0-,0-',
  ],
  'if-range': ['"x"', 'W/"x"', '*', 'Thu, 01 Jan 1970 00:00:00 GMT', '"'],
  'if-none-match': ['*', '"x"', 'W/"x", "y"', '"', ',,,'],
  'if-match': ['*', '"x"', ''],
  'if-modified-since': ['Thu, 01 Jan 2099 00:00:00 GMT', 'yesterday', '0'],
  accept: ['image/webp', 'image/webp;q=0', ';;;', '*/*;q=x', ','.repeat(200)],
};

test('whatever is asked of content, pictures and links, the answer is one of those that are documented', async () => {
  await using uploads = await openUploads();
  const { id } = await uploads.upload('alice', 'x.png', halves(24, 12), { visibility: 'public' });
  let state = 11;
  const next = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  const pick = <Item>(items: readonly Item[]): Item => items[next(items.length)] as Item;
  const seen = new Set<number>();
  for (let round = 0; round < 1500; round++) {
    const query = Array.from({ length: next(5) }, () => `${pick(NAMES)}=${pick(WORDS)}`).join('&');
    const headers: Record<string, string> = {};
    for (let count = next(4); count > 0; count--) {
      const name = pick(Object.keys(HEADERS));
      headers[name] = pick(HEADERS[name] as readonly string[]);
    }
    const path = `/api/files/${id}/${pick(['content', 'image', 'links'])}${query === '' ? '' : `?${query}`}`;
    const response = await uploads.request(pick([null, 'alice', 'bob']), pick(['GET', 'HEAD']), path, { headers });
    await response.arrayBuffer();
    seen.add(response.status);
    if (![200, 206, 304, 400, 401, 403, 404, 410, 412, 416, 422].includes(response.status)) {
      throw new Error(`${path} with ${JSON.stringify(headers)} answered ${response.status}`);
    }
  }
  expect(uploads.faults).toEqual([]);
  expect([...seen].sort()).toEqual(expect.arrayContaining([200, 206, 304, 403, 412, 416, 422]));
}, 60_000);
