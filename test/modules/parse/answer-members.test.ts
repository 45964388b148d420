import { describe, expect, test } from 'bun:test';
import { toMembers } from '../../../src/modules/parse/answer-members.ts';

const warnings = [{ message: 'a "quoted" ä', line: 1 }];
const utf8 = (text: string) => new TextEncoder().encode(text);
const read = (members: Uint8Array) => JSON.parse(`{${new TextDecoder('utf-8', { fatal: true }).decode(members)}}`);

describe('the members of an answer', () => {
  test.each([
    '',
    'a{b:c}',
    'a{content:"\\"— ä 😀"}',
    'lines\nand\ttabs\r\0\u001f',
    "'\\\\'",
    '\u007f\u0080\u2028\u2029\ufeff',
    '$& $1 $$',
  ])('are the same for text in bytes as for text: %j', (code) => {
    const result = { before: undefined, code: utf8(code), bytes: 3, more: { nested: ['é'] } };
    const expected = { result: { code, bytes: 3, more: { nested: ['é'] } }, warnings };
    expect(read(toMembers({ result, warnings }))).toEqual(expected);
    expect(
      Buffer.from(toMembers({ result, warnings })).equals(toMembers({ result: { ...result, code }, warnings })),
    ).toBe(true);
  });

  test('are text even when the bytes are not', () => {
    const part = new Uint8Array([0x20, 0x61, 0xff, 0xc3, 0x22]).subarray(1);
    expect(read(toMembers({ result: { code: part }, warnings: [] })).result.code).toBe('a\ufffd\ufffd"');
  });

  test.each([[null], [undefined], ['text'], [7], [[]], [['\ud800']], [{}]])(
    'carry values that hold no bytes: %p',
    (result) => {
      const members = toMembers({ result, warnings: [] });
      expect(read(members)).toEqual({ result: JSON.parse(JSON.stringify(result ?? null)), warnings: [] });
    },
  );
});
