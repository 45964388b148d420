import { describe, expect, test } from 'bun:test';
import { CgiFault, createHeadReader, MAX_HEAD_BYTES } from '../../src/drivers/cgi-head.ts';

const parse = (text: string) => createHeadReader()(Buffer.from(text, 'latin1'));

describe('the head of a CGI answer', () => {
  const heads: [string, string, unknown][] = [
    ['CRLF', 'Status: 404 Not Found\r\nX-A: 1\r\n\r\nbody', { status: 404, headers: [['x-a', '1']], bodyStart: 33 }],
    ['LF', 'X-A: 1\n\nbody', { status: 200, headers: [['x-a', '1']], bodyStart: 8 }],
    [
      'both',
      'X-A: 1\r\nX-B: 2\n\r\nbody',
      {
        status: 200,
        headers: [
          ['x-a', '1'],
          ['x-b', '2'],
        ],
        bodyStart: 17,
      },
    ],
    ['a redirect', 'Location: /x\r\n\r\n', { status: 302, headers: [['location', '/x']], bodyStart: 16 }],
    ['a status alone', 'Status: 204\n\n', { status: 204, headers: [], bodyStart: 13 }],
    [
      'a name in any case',
      'CONTENT-type:  a/b \n\n',
      { status: 200, headers: [['content-type', 'a/b']], bodyStart: 21 },
    ],
    [
      'an interim head before it',
      'Status: 103\nLink: </a>\n\nStatus: 201\nX: y\n\n',
      { status: 201, headers: [['x', 'y']], bodyStart: 42 },
    ],
  ];
  test.each(heads)('is read with %s', (_, text, expected) => expect(parse(text)).toEqual(expected as never));

  test('keeps a header that comes twice', () => {
    const headers = parse('Set-Cookie: a=1\nSet-Cookie: b=2\n\n')?.headers;
    expect(headers).toEqual([
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ]);
  });

  test('is waited for, byte by byte', () => {
    const text = 'Status: 200 OK\r\nX-A: 1\r\n\r\n';
    for (let length = 0; length < text.length; length++) expect(parse(text.slice(0, length))).toBeNull();
    expect(parse(text)?.status).toBe(200);
  });

  test('that comes again gives the same list, and only then', () => {
    const read = createHeadReader();
    const headersOf = (text: string) => read(Buffer.from(text, 'latin1'))?.headers;
    const first = headersOf('X-A: 1\n\none');
    expect(headersOf('X-A: 1\n\nanother body')).toBe(first as never);
    expect(headersOf('X-A: 2\n\none')).toEqual([['x-a', '2']]);
  });

  const broken: [string, string][] = [
    ['no header', 'hello world\n\n'],
    ['a blank before the colon', 'X-A : 1\n\n'],
    ['a continued line', 'X-A: 1\n folded\n\n'],
    ['NUL in a value', 'X-A: 1\0\n\n'],
    ['CR in a value', 'X-A: 1\r2\n\n'],
    ['a status that is none', 'Status: 1000\n\n'],
    ['a status in words', 'Status: fine\n\n'],
    ['nothing in it', '\r\n\r\n'],
  ];
  test.each(broken)('is refused with %s', (_, text) => expect(() => parse(text)).toThrow(CgiFault));

  test('is refused when it is too large, also before it ends', () => {
    expect(() => parse(`X-A: ${'x'.repeat(MAX_HEAD_BYTES)}`)).toThrow(CgiFault);
    expect(() => parse(`X-A: ${'x'.repeat(MAX_HEAD_BYTES)}\n\n`)).toThrow(CgiFault);
  });
});
