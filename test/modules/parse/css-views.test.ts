import { describe, expect, test } from 'bun:test';
import { look, problemOf } from './support.ts';

describe('writing a stylesheet', () => {
  test('minifies when no view is named', async () => {
    const { result, warnings } = await look('css', '.a { color: #ffffff; margin: 0px }\n/* c */');
    expect(result).toEqual({ code: '.a{color:#fff;margin:0}', bytesBefore: 42, bytesAfter: 23 });
    expect(warnings).toEqual([]);
  });

  test('formats, with a source map when asked', async () => {
    const { result } = await look('css', 'a{color:red}b{x:y}', 'format', { sourceMap: true });
    expect(result.code).toBe('a {\n  color: red;\n}\n\nb {\n  x: y;\n}\n');
    expect(result.sourceMap).toMatchObject({ version: 3, sources: ['source.css'] });
  });

  test('writes for the browsers that are named', async () => {
    const source = '.a { .b & { color: oklch(40% 0.2 20) } }';
    expect((await look('css', source, 'targets', { targets: 'chrome 60' })).result.code).not.toContain('&');
    expect((await look('css', source, 'targets', { targets: 'chrome 140' })).result.code).toContain('oklch');
    for (const targets of [
      'nonsense 5',
      'extends some-package',
      'current node',
      'browserslist config',
      'supports es6',
    ]) {
      expect(await problemOf('css', source, 'targets', { targets })).toBe('syntax');
    }
    expect(await problemOf('css', source, 'targets')).toBe('invalid-request');
  });

  test('goes on after what cannot be read, and names it', async () => {
    const source = '.a{*zoom:1;color:red}\n}\n$var: 1;\n.b{color:blue}\na:::c{}';
    const { result, warnings } = await look('css', source);
    expect(result.code).toContain('.a{color:red}');
    expect(warnings.length).toBeGreaterThan(0);
    for (const warning of warnings)
      expect(warning).toMatchObject({ message: expect.any(String), line: expect.any(Number) });
  });

  test('lists what a stylesheet loads as it stands there', async () => {
    const source = '@import "a.css" screen;\n.x{background:url( "b.png" )}\n@font-face{src:url(c.woff2)}';
    const { result } = await look('css', source, 'dependencies');
    expect(result).toMatchObject([
      { kind: 'import', url: 'a.css', media: 'screen', line: 1 },
      { kind: 'url', url: 'b.png', line: 2 },
      { kind: 'url', url: 'c.woff2', line: 3 },
    ]);
  });

  test('never reads a file that the source names', async () => {
    const { result } = await look('css', '@import "/etc/passwd"; @import url("file:///etc/passwd");');
    expect(result.code).not.toContain('root:');
  });
});

describe('bundling', () => {
  const bundle = async (source: string, files: Record<string, string>, options = {}) =>
    (await look('css', source, 'bundle', { files, minify: true, ...options })).result.code;

  test('puts the files that were sent in the places of their imports', async () => {
    const files = {
      'a.css': '.a{color:red}',
      'sub/b.css': '@import "../c.css" screen; .b{x:y}',
      'c.css': '.c{z:w}',
    };
    expect(
      await bundle('@import "https://example.org/x.css"; @import "a.css"; @import "/sub/b.css"; .s{t:u}', files),
    ).toBe('@import "https://example.org/x.css";.a{color:red}@media screen{.c{z:w}}.b{x:y}.s{t:u}');
  });

  test('knows no other file', async () => {
    for (const name of ['missing.css', '/etc/passwd', '../../../../etc/passwd', 'constructor', '__proto__']) {
      expect(await problemOf('css', `@import "${name}";`, 'bundle', { files: {} })).toBe('syntax');
    }
    expect(await bundle('@import "file:///etc/passwd";', {})).not.toContain('root');
    expect(await problemOf('css', 'a{}', 'bundle', { files: { 'b.css': '('.repeat(5000) } })).toBe('too-deep');
  });
});

describe('looking at a stylesheet', () => {
  test('counts what there is', async () => {
    const source = `@import "x.css"; :root{--c: red} #a .b > p:hover::before, .c:is(#d, e) {color: RED !important; background: #FFF url(x)}
      @media (min-width: 1px) { p { font: 1px/2 "A", serif; font-family: "A", serif } } @media (min-width: 1px) { i { color: rgb(1 2 3) } }`;
    const { result } = await look('css', source, 'stats');
    expect(result).toMatchObject({
      rules: 4,
      selectors: 5,
      declarations: 6,
      important: 1,
      urls: 1,
      specificity: { heaviest: { selector: '#a .b>p:hover::before', specificity: [1, 2, 2] } },
      mediaQueries: [{ value: '(min-width:1px)', count: 2 }],
      customProperties: [{ value: '--c', count: 1 }],
    });
    expect(result.colors.map(({ value }: { value: string }) => value).sort()).toEqual(['#fff', 'red', 'rgb(1 2 3)']);
  });

  test('weighs selectors as the standard does', async () => {
    const cases = {
      '*': '0,0,0',
      li: '0,0,1',
      'ul ol+li': '0,0,3',
      'h1 + *[rel=up]': '0,1,1',
      'li.red.level': '0,2,1',
      '#s12:not(foo)': '1,0,1',
      '.foo :is(.bar, #baz)': '1,1,0',
      ':where(#a) p': '0,0,1',
      ':nth-child(2n of .a, #b)': '1,1,0',
      'a::before': '0,0,2',
    };
    for (const [selector, specificity] of Object.entries(cases)) {
      const { result } = await look('css', `${selector}{}`, 'stats');
      expect([selector, result.specificity.histogram[0].value]).toEqual([selector, specificity]);
    }
  });

  const page = '<div class="a"><p id="x">x</p></div>';
  const sheet = `.a{color:red} .gone{x:y} .a:hover p::after{font-family:Kept} div>.gone,#x{animation:spin 1s}
    @keyframes spin{from{top:0}} @keyframes unused{to{top:0}} @media print{.gone{a:b}} @media screen{.a{b:c}}
    @font-face{font-family:Kept;src:url(k)} @font-face{font-family:Gone;src:url(g)}`;

  test('names what a page does not use', async () => {
    const { result } = await look('css', sheet, 'unused', { html: page });
    expect(result.unused.map(({ selector }: { selector: string }) => selector)).toEqual([
      '.gone',
      'div>.gone',
      '.gone',
    ]);
    expect(result.selectors).toBe(7);
  });

  test('keeps what a page needs', async () => {
    const { result } = await look('css', sheet, 'critical', { html: page });
    expect(result.code).toBe(
      '.a{color:red}.a:hover p::after{font-family:Kept}#x{animation:spin 1s}@keyframes spin{from{top:0}}@media screen{.a{b:c}}@font-face{font-family:Kept;src:url(k)}',
    );
  });
});
