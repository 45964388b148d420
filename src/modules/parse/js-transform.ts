import { minifySync } from 'oxc-minify';
import { transformSync } from 'oxc-transform';
import { assertShallow, JS_BRACKETS } from './bracket-depth.ts';
import { assertValid, parseValid, type Syntax } from './js-source.ts';
import { parseProblems } from './problems.ts';
import type { View } from './view.ts';

interface TransformOptions {
  readonly syntax: Syntax;
  readonly sourceMap: boolean;
  readonly target?: string;
  readonly jsx: 'automatic' | 'classic' | 'preserve';
  readonly jsxImportSource: string;
}

/** TypeScript and JSX as JavaScript. */
export const transformView: View = ({ text, options }) => {
  const { code, sourceMap } = toJavaScript(text, options);
  return { result: { code, ...sizes(text, code), ...(sourceMap ? { sourceMap } : {}) }, warnings: [] };
};

/** The same program in as few bytes as it can be said. */
export const minifyView: View = ({ text, options }) => {
  const { syntax, mangle, sourceMap, target } = options as {
    syntax: Syntax;
    mangle: boolean;
    sourceMap: boolean;
    target?: string;
  };
  const { module, program } = parseValid({ text, options });
  const isModule = module.hasModuleSyntax || program.sourceType === 'module';
  const plain =
    syntax === 'js' && target === undefined
      ? text
      : toJavaScript(text, {
          syntax,
          sourceMap: false,
          jsx: 'automatic',
          jsxImportSource: 'react',
          ...(target ? { target } : {}),
        }).code;
  const { code, map, errors } = minifySync('source.js', plain, {
    module: isModule,
    mangle,
    compress: true,
    sourcemap: sourceMap,
  });
  assertValid(errors, plain);
  return { result: { code, ...sizes(text, code), ...(map ? { sourceMap: map } : {}) }, warnings: [] };
};

function toJavaScript(text: string, options: TransformOptions) {
  const { syntax, sourceMap, target, jsx, jsxImportSource } = options;
  assertShallow(text, JS_BRACKETS);
  const done = transformSync(`source.${syntax}`, text, {
    lang: syntax,
    sourceType: 'unambiguous',
    sourcemap: sourceMap,
    ...(target ? { target: target.split(',') } : {}),
    jsx:
      jsx === 'preserve'
        ? 'preserve'
        : { runtime: jsx, ...(jsx === 'automatic' ? { importSource: jsxImportSource } : {}) },
  });
  assertValid(done.errors, text);
  if (done.code === '' && text.trim() !== '' && done.errors.length > 0) throw parseProblems.create('syntax');
  return { code: done.code, sourceMap: done.map };
}

function sizes(before: string, after: string) {
  const encoder = new TextEncoder();
  return { bytesBefore: encoder.encode(before).byteLength, bytesAfter: encoder.encode(after).byteLength };
}
