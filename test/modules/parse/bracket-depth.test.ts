import { expect, test } from 'bun:test';
import { assertShallow, JS_BRACKETS } from '../../../src/modules/parse/bracket-depth.ts';

function judge(source: string): string {
  try {
    assertShallow(new TextEncoder().encode(source), JS_BRACKETS);
    return 'shallow';
  } catch (error) {
    return (error as Error).message;
  }
}

const deep = '('.repeat(300);

test('regular expressions that never end cost no look at the rest of the line for each of them', () => {
  const endless = '=/[)'.repeat(100_000);
  expect(judge(endless)).toBe('shallow');
  expect(judge(`${endless}\n${deep}`)).toContain('at line 2, column 257');
}, 5_000);

test.each([
  ['after one that does not end', `a = /[)\n= /[(]/;b = /${deep}/`, 'shallow'],
  ['between two that would make one', `a = /[);b = /${deep}/`, 'shallow'],
  ['in a class of one', `a = /[)/;b = [/[${deep}]/]`, 'shallow'],
  ['on the line after one that does not end', `a = /[)\n${deep}/`, 'at line 2'],
])('brackets %s', (_, source, expected) => expect(judge(source)).toContain(expected));
