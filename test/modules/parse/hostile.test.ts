import { afterAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { bunChildPool } from '../../../src/drivers/bun-child-pool.ts';
import type { Language, ParseJob, ParseResult } from '../../../src/modules/parse/job.ts';
import { recordingLog } from '../../support/fakes.ts';
import { jobOf } from './support.ts';

const pool = bunChildPool<ParseJob, ParseResult>({
  name: 'parse',
  entry: join(import.meta.dirname, '../../../src/workers/parse.ts'),
  size: 2,
  maxWaiting: 200,
  maxMemoryBytes: 1024 * 1024 * 1024,
  log: recordingLog(),
});
afterAll(() => pool.stop());

const DEADLINE_MS = 3_000;

/** How the house fares with a source: an answer, the name of a problem, or how the child ended. */
async function fate(language: Language, view: string, source: string, query: object = {}): Promise<string> {
  const job = jobOf(language, new TextEncoder().encode(source), { query: { view, ...query } });
  const outcome = await pool.run(job, { deadlineMs: DEADLINE_MS });
  if (outcome.status !== 'done') return outcome.status;
  return outcome.result.status === 'read' ? 'read' : outcome.result.problem;
}

const nested = (open: string, close: string, levels: number) => open.repeat(levels) + close.repeat(levels);

/** Sources that end a parser that has no guard, at sizes from a few kilobytes to megabytes. */
const KILLERS: readonly (readonly [
  name: string,
  language: Language,
  views: readonly string[],
  source: (levels: number) => string,
])[] = [
  ['blocks', 'css', ['minify', 'stats'], (levels) => nested('a{', '}', levels)],
  [':is(', 'css', ['minify', 'stats'], (levels) => `${nested(':is(', ')', levels)}{}`],
  ['@media (', 'css', ['minify'], (levels) => `@media ${nested('(', ')', levels)}{}`],
  ['calc((', 'css', ['minify', 'format'], (levels) => `a{width:calc${nested('(', ')', levels)}}`],
  ['blocks that never close', 'css', ['minify', 'dependencies'], (levels) => 'a{'.repeat(levels)],
  ['brackets behind an escape', 'css', ['minify'], (levels) => `a{b:\\${'('.repeat(levels)}}`],
  ['brackets behind a broken text', 'css', ['minify'], (levels) => `a{b:"\n${'('.repeat(levels)}}`],
  ['parentheses', 'js', ['ast', 'minify', 'transform', 'errors', 'imports'], (levels) => nested('(', ')', levels)],
  ['arrays', 'js', ['ast', 'stats', 'exports'], (levels) => nested('[', ']', levels)],
  ['blocks', 'js', ['ast', 'minify'], (levels) => nested('{', '}', levels)],
  ['templates', 'js', ['ast', 'transform'], (levels) => `${'`${'.repeat(levels)}1${'}`'.repeat(levels)}`],
  ['arrows', 'js', ['ast', 'minify'], (levels) => `${'()=>'.repeat(levels)}1`],
  ['unary operators', 'js', ['ast', 'minify'], (levels) => `${'!'.repeat(levels)}1`],
  ['member chains', 'js', ['ast', 'minify'], (levels) => `a${'.b'.repeat(levels)}`],
  ['sums', 'js', ['ast', 'minify', 'imports'], (levels) => `a${'+a'.repeat(levels)}`],
  ['conditionals', 'js', ['ast'], (levels) => `${'a?'.repeat(levels)}a${':a'.repeat(levels)}`],
  ['else if', 'js', ['ast', 'transform'], (levels) => `${'if(a){}else '.repeat(levels)}{}`],
  ['JSX', 'js', ['transform', 'ast'], (levels) => nested('<a>', '</a>', levels)],
  ['types', 'js', ['transform', 'ast'], (levels) => `type A=${'B<'.repeat(levels)}C${'>'.repeat(levels)}`],
  ['brackets behind a regular expression', 'js', ['ast'], (levels) => `a = b / ${'('.repeat(levels)} / c`],
  [
    'elements',
    'html',
    ['text', 'tree', 'article', 'select', 'rewrite', 'minify', 'markdown', 'meta', 'links'],
    (levels) => '<div>'.repeat(levels),
  ],
  ['formatting', 'html', ['text', 'rewrite'], (levels) => '<b><i><a href=x>'.repeat(levels / 3)],
  ['tables', 'html', ['tables', 'text'], (levels) => '<table><tr><td>'.repeat(levels / 3)],
  ['drawings', 'html', ['tree', 'text'], (levels) => '<svg>'.repeat(levels)],
  ['templates', 'html', ['tree', 'rewrite'], (levels) => '<template>'.repeat(levels)],
];

describe('a source that would end a parser', () => {
  for (const [name, language, views, source] of KILLERS) {
    test(`${language}: ${name}`, async () => {
      const asked = views.flatMap((view) =>
        [2_000, 20_000, 300_000].map((levels) => fate(language, view, source(levels), { selector: 'p' })),
      );
      for (const outcome of await Promise.all(asked)) {
        expect([
          'read',
          'too-deep',
          'syntax',
          'too-many-nodes',
          'crashed',
          'late',
          'too-much-memory',
          'invalid-request',
        ]).toContain(outcome);
      }
      expect(await fate('css', 'minify', 'a{b:c}')).toBe('read');
    }, 60_000);
  }

  test('is stopped before the parser when its brackets nest too deeply', async () => {
    expect(await fate('css', 'minify', nested('a{', '}', 65))).toBe('too-deep');
    expect(await fate('js', 'ast', nested('(', ')', 257))).toBe('too-deep');
    expect(await fate('html', 'tree', '<div>'.repeat(1_001))).toBe('too-deep');
    expect(await fate('css', 'minify', nested('a{', '}', 60))).toBe('read');
    expect(await fate('js', 'ast', `x = ${nested('(', ')', 250).replace('()', '(1)')}`)).toBe('read');
    expect(await fate('html', 'tree', '<div>'.repeat(900))).toBe('read');
  });

  test('costs no more than its deadline where time explodes', async () => {
    const chain = (links: number) => `a{color:${'hwb(from max('.repeat(links)}`;
    expect(['read', 'too-deep', 'late']).toContain(await fate('css', 'minify', chain(30)));
    expect(['read', 'too-deep', 'late']).toContain(
      await fate('css', 'minify', `a{color:${'hwb(1 2 max(calc(min(clamp('.repeat(12)}`),
    );
  }, 20_000);
});

describe('a source that is broken or odd', () => {
  const odd: Readonly<Record<string, string>> = {
    'nothing closed': '<div class="a',
    'only openings': '<'.repeat(2_000_000),
    'only attributes': `<p ${'a=1 '.repeat(200_000)}>`,
    'lone surrogates': 'text \ud800 and \udfff more text',
    'NULs among text': `some text that is long enough\0to be read`,
    'entities without end': '&amp'.repeat(300_000),
    'entities of entities': '<!DOCTYPE x [<!ENTITY a "b"><!ENTITY b "&a;&a;&a;&a;">]><p>&b;&b;&b;',
    comment: '<!--'.repeat(100_000),
    'CSS in all': 'a{b:url(data:x'.repeat(10),
    script: '<script>'.repeat(100_000),
    'one long line': `var a=${'"x"+'.repeat(1000)}1`,
  };
  for (const [name, source] of Object.entries(odd)) {
    test(name, async () => {
      const asked = (['html', 'css', 'js'] as const).flatMap((language) => [
        fate(language, language === 'css' ? 'minify' : language === 'html' ? 'text' : 'errors', source),
        fate(language, language === 'css' ? 'stats' : language === 'html' ? 'meta' : 'imports', source),
      ]);
      for (const outcome of await Promise.all(asked)) {
        expect(['read', 'syntax', 'too-deep', 'too-many-nodes', 'not-text', 'late', 'crashed']).toContain(outcome);
      }
    }, 60_000);
  }
});
