import { expect, test } from 'bun:test';
import { FileTypeParser } from 'file-type';
import { MagicParser } from '../../../src/modules/uploads/magic.ts';

/** What `index.js` of file-type does with its parsers; its types do not tell. */
interface Internals {
  buffer: Uint8Array;
  check(signature: readonly number[], options?: object): boolean;
  checkString(signature: string, options?: object): boolean;
}

const [theirs, ours] = [new FileTypeParser(), new MagicParser()].map((parser) => {
  const internals = parser as unknown as Internals;
  internals.buffer = new TextEncoder().encode('..RIFF!');
  return internals;
}) as [Internals, Internals];

test.each<[string, (parser: Internals) => boolean]>([
  ['bytes that match', (parser) => parser.check([0x2e, 0x2e, 0x52])],
  ['bytes that do not', (parser) => parser.check([0x2e, 0x2f])],
  ['bytes further on', (parser) => parser.check([0x52, 0x49], { offset: 2 })],
  ['bytes behind the end', (parser) => parser.check([0x21, 0x00], { offset: 6 })],
  ['masked bytes that match', (parser) => parser.check([0x50, 0x40], { offset: 2, mask: [0xf0, 0xf0] })],
  ['masked bytes that do not', (parser) => parser.check([0x52, 0x49], { offset: 2, mask: [0xf0, 0xff] })],
  ['masked bytes behind the end', (parser) => parser.check([0x21, 0x00], { offset: 6, mask: [0xff, 0xff] })],
  ['a word that matches', (parser) => parser.checkString('RIFF', { offset: 2 })],
  ['a word that does not', (parser) => parser.checkString('RIFF')],
  ['a word behind the end', (parser) => parser.checkString('F!!', { offset: 5 })],
  ['a word of two bytes a letter', (parser) => parser.checkString('..', { encoding: 'utf-16le' })],
])('%s is compared as file-type does', (_, compare) => {
  expect(compare(ours)).toBe(compare(theirs));
});

test('file-type compares by the methods that are replaced', () => {
  expect(Object.getOwnPropertyNames(FileTypeParser.prototype)).toEqual(
    expect.arrayContaining(['check', 'checkString']),
  );
});
