import { describe, expect, test } from 'bun:test';
import { look, problemOf } from './support.ts';

describe('modules', () => {
  test('lists imports when no view is named', async () => {
    const source =
      'import a from "a";\nexport * from "b";\nconst c = await import("c");\nrequire("d");\nimport type {T} from "t";';
    const { result } = await look('js', source);
    expect(result).toContainEqual({ path: 'a', kind: 'import-statement' });
    expect(result).toContainEqual({ path: 'b', kind: 'import-statement' });
    expect(result).toContainEqual({ path: 'c', kind: 'dynamic-import' });
    expect(result).toContainEqual({ path: 'd', kind: 'require-call' });
    expect(JSON.stringify(result)).not.toContain('"t"');
  });

  test('lists imports of what the fast scanner will not read', async () => {
    const { result } = await look(
      'js',
      'import a from "a"; export {b} from "b"; const z = <a {...b} key={1}/>; import(`c`)',
    );
    expect(result.map(({ path }: { path: string }) => path)).toEqual(['a', 'b', 'c']);
  });

  test('lists the names that a module gives', async () => {
    const source =
      'export const a = 1, b = 2;\nexport default class X {}\nexport { c as d } from "m";\nexport * as e from "n";\nexport type T = 1;';
    const { result } = await look('js', source, 'exports');
    expect(result.map(({ name, from, isType, line }: Record<string, unknown>) => [name, from, isType, line])).toEqual([
      ['a', null, false, 1],
      ['b', null, false, 1],
      ['default', null, false, 2],
      ['d', 'm', false, 3],
      ['e', 'n', false, 4],
      ['T', null, true, 5],
    ]);
  });
});

describe('writing', () => {
  test('makes JavaScript of TypeScript and JSX', async () => {
    const { result } = await look('js', 'const x: number = <T,>(y: T) => <b>{y}</b>; enum E { A }', 'transform', {
      sourceMap: true,
    });
    expect(result.code).toContain('react/jsx-runtime');
    expect(result.code).not.toContain(': number');
    expect(result.sourceMap.version).toBe(3);
    const classic = await look('js', 'const x = <b/>', 'transform', { jsx: 'classic' });
    expect(classic.result.code).toContain('React.createElement');
    const kept = await look('js', 'const x = <b/>', 'transform', { jsx: 'preserve' });
    expect(kept.result.code).toContain('<b />');
  });

  test('lowers for older engines', async () => {
    expect((await look('js', 'a ??= b?.c', 'transform', { target: 'es2019' })).result.code).not.toContain('??=');
    expect(await problemOf('js', 'a', 'transform', { target: 'es2019; x' })).toBe('invalid-request');
  });

  test('minifies without changing what is seen from outside', async () => {
    const source = 'export function add(first: number, second: number) { const sum = first + second; return sum }';
    expect((await look('js', source, 'minify')).result.code).toBe('export function add(e,t){return e+t}');
    expect(
      (await look('js', 'function outer(long) { return long }', 'minify', { mangle: false, syntax: 'js' })).result.code,
    ).toContain('long');
  });

  test('refuses what is not valid, with the place', async () => {
    for (const view of ['transform', 'minify', 'exports', 'ast', 'stats', 'imports']) {
      const fault = await look('js', 'let a = 1;\nlet b = ;', view).catch((error: unknown) => error);
      expect(fault).toMatchObject({ problem: 'syntax', detail: expect.stringContaining('line 2') });
    }
  });
});

describe('looking', () => {
  test('gives the tree', async () => {
    const { result } = await look('js', '// c\nlet x = 1n + /a/g.y', 'ast', { comments: true });
    expect(result).toMatchObject({
      type: 'Program',
      body: [{ type: 'VariableDeclaration', kind: 'let' }],
      comments: [{ value: ' c' }],
    });
  });

  test('lists several errors with their places', async () => {
    const { result } = await look('js', 'let a = 1;\nlet a = 2;\nlet b = 3; let b;', 'errors');
    expect(result).toMatchObject({ isValid: false, total: 2 });
    expect(result.errors[0]).toMatchObject({ line: 1, column: 5, length: 1, frame: expect.any(String) });
    expect((await look('js', 'let a', 'errors')).result).toEqual({ isValid: true, total: 0, errors: [] });
  });

  test('shows of a long line what is around the place', async () => {
    const fill = 'f();'.repeat(20_000);
    const { result } = await look('js', `a;\n${fill}let b = ;${fill}\nc;`, 'errors');
    expect(result.errors[0]).toMatchObject({ line: 2, column: fill.length + 9 });
    const [code, marks] = result.errors[0].frame.split('\n');
    expect(code).toHaveLength('2 | '.length + 120);
    expect(code).toContain('f();let b = ;f();');
    expect(code[marks.indexOf('^')]).toBe(';');
    const { frame } = (await look('js', `let b = }${fill}`, 'errors')).result.errors[0];
    expect(frame.split('\n')[0]).toBe(`1 | let b = }${fill}`.slice(0, '1 | let b = '.length + 60));
  });

  test('shows of a long line whole characters, and no line end', async () => {
    const faces = `/*${'😀'.repeat(2000)}*/`;
    const { result } = await look('js', `${faces}let b = ;${faces} `, 'errors');
    const { frame } = result.errors[0];
    expect([frame.isWellFormed(), frame.includes('😀*/let b = ;/*😀')]).toEqual([true, true]);
    const lines = await look('js', `let b = ;\r\n${'f();'.repeat(1000)}`, 'errors');
    expect(lines.result.errors[0].frame).not.toContain('\r');
  });

  test('counts what there is', async () => {
    const source =
      'import "a";\n// c\nfunction f(a, b) { if (a && b) return a ? 1 : 2 }\nclass X { m() { for (;;) {} } }\nexport const g = () => import("z")';
    const { result } = await look('js', source, 'stats');
    expect(result).toMatchObject({
      lines: 5,
      comments: 1,
      isModule: true,
      imports: 1,
      dynamicImports: 1,
      exports: 1,
      functions: 3,
      classes: 1,
    });
    expect(result.mostComplex[0]).toEqual({ name: 'f', line: 3, parameters: 2, complexity: 4 });
    expect(result.mostComplex.map(({ name }: { name: string }) => name)).toContain('m');
  });
});
