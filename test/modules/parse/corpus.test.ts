import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Glob } from 'bun';
import { look } from './support.ts';

const MODULES = join(import.meta.dirname, '../../../node_modules');
/** Files of packages whose versions are pinned: what the parsers make of them changes only when somebody means it. */
const PAGES = [
  '@mixmark-io/domino/test/w3c/level1/**/*.html',
  'pino/index.html',
  'playwright-core/lib/vite/*/index.html',
];
const SHEETS = [
  '@scalar/themes/dist/**/*.css',
  '@uppy/core/dist/*.css',
  'playwright-core/lib/vite/**/*.css',
  'swagger-ui-dist/swagger-ui.css',
];
const SCRIPTS = [
  'linkedom/esm/interface/e*.js',
  'parse5/dist/{parser,tokenizer}/index.js',
  'turndown/lib/turndown.es.js',
  '@mozilla/readability/*.js',
  'memoirist/dist/index.d.ts',
  'pino/lib/t*.js',
];

function files(patterns: readonly string[]): string[] {
  return patterns.flatMap((pattern) => [...new Glob(pattern).scanSync({ cwd: MODULES })]).sort();
}

const read = (file: string) => readFileSync(join(MODULES, file), 'utf8');
const pages = files(PAGES);
const sheets = files(SHEETS);
const scripts = files(SCRIPTS);

describe('what is made of real files', () => {
  test('of which there are enough', () => {
    expect(pages.length).toBeGreaterThanOrEqual(10);
    expect(pages.length + sheets.length + scripts.length).toBeGreaterThanOrEqual(50);
  });

  for (const file of pages) {
    test(file, async () => {
      const source = read(file);
      const [meta, links, assets, outline, text, validate, tree, rewritten] = await Promise.all([
        look('html', source, 'meta'),
        look('html', source, 'links'),
        look('html', source, 'assets'),
        look('html', source, 'outline'),
        look('html', source, 'text'),
        look('html', source, 'validate'),
        look('html', source, 'tree'),
        look('html', source, 'rewrite'),
      ]);
      expect({
        title: meta.result.title,
        description: meta.result.description,
        links: links.result.length,
        assets: assets.result.length,
        headings: outline.result.headings.map(({ text: heading }: { text: string }) => heading),
        words: text.result.words,
        errors: validate.result.total,
      }).toMatchSnapshot();
      // A page that is written and read again is the same page.
      expect((await look('html', rewritten.result.html, 'tree')).result).toEqual(tree.result);
    });
  }

  for (const file of sheets) {
    test(file, async () => {
      const source = read(file);
      const [small, stats, loads] = await Promise.all([
        look('css', source, 'minify'),
        look('css', source, 'stats'),
        look('css', source, 'dependencies'),
      ]);
      const { rules, selectors, declarations, important, colors, fonts, customProperties } = stats.result;
      expect({
        bytes: small.result.bytesAfter,
        warnings: small.warnings.length,
        loads: loads.result.length,
        rules,
        selectors,
        declarations,
        important,
        colors: colors.length,
        fonts: fonts.length,
        customProperties: customProperties.length,
      }).toMatchSnapshot();
    });
  }

  for (const file of scripts) {
    test(file, async () => {
      const source = read(file);
      const syntax = file.endsWith('.ts') ? 'ts' : 'js';
      const [imports, exported, stats, errors, small] = await Promise.all([
        look('js', source, 'imports', { syntax }),
        look('js', source, 'exports', { syntax }),
        look('js', source, 'stats', { syntax }),
        look('js', source, 'errors', { syntax }),
        look('js', source, 'minify', { syntax }),
      ]);
      expect({
        imports: imports.result.length,
        exports: exported.result.map(({ name }: { name: string }) => name),
        functions: stats.result.functions,
        classes: stats.result.classes,
        errors: errors.result.total,
        bytes: small.result.bytesAfter,
      }).toMatchSnapshot();
    });
  }
});
