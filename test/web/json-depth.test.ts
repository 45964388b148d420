import { expect, test } from 'bun:test';
import { isNestedTooDeeply } from '../../src/web/json-depth.ts';

const nested = (open: string, close: string, levels: number) => `${open.repeat(levels)}1${close.repeat(levels)}`;

test.each([
  { what: '64 arrays', text: nested('[', ']', 64), isTooDeep: false },
  { what: '65 arrays', text: nested('[', ']', 65), isTooDeep: true },
  { what: '65 objects', text: nested('{"a":', '}', 65), isTooDeep: true },
  { what: '20,000 brackets that never close', text: '['.repeat(20_000), isTooDeep: true },
  { what: 'many arrays beside one another', text: `[${'[],'.repeat(1_000)}[]]`, isTooDeep: false },
  { what: 'brackets inside a string', text: `{"a":"${'['.repeat(1_000)}"}`, isTooDeep: false },
  { what: 'brackets after an escaped quote', text: `{"a":"\\"${'['.repeat(1_000)}"}`, isTooDeep: false },
  {
    what: 'an escaped backslash before the end of a string',
    text: `{"a":"\\\\",${nested('[', ']', 70)}`,
    isTooDeep: true,
  },
])('$what: too deep is $isTooDeep', ({ text, isTooDeep }) => {
  expect(isNestedTooDeeply(new TextEncoder().encode(text))).toBe(isTooDeep);
});

test('strings end at the first quote that is not escaped, however far it is', () => {
  const deep = nested('[', ']', 65);
  for (let before = 0; before < 100; before++) {
    for (let escapes = 0; escapes < 5; escapes++) {
      const value = `${'x'.repeat(before)}${'\\\\'.repeat(escapes)}`;
      const inside = new TextEncoder().encode(`["${value}\\"${deep}"]`);
      const outside = new TextEncoder().encode(`["${value}",${deep}]`);
      expect([isNestedTooDeeply(inside), isNestedTooDeeply(outside)]).toEqual([false, true]);
    }
  }
});
