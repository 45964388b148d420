import { minifySync } from 'oxc-minify';
import { transformSync } from 'oxc-transform';
import { assertShallow, JS_BRACKETS } from './bracket-depth.ts';
import { assertValid, parseValid, type Syntax } from './js-source.ts';
import type { View } from './view.ts';

interface TransformOptions {
  readonly syntax: Syntax;
  readonly sourceMap: boolean;
  readonly target?: string;
  readonly jsx: 'automatic' | 'classic' | 'preserve';
  readonly jsxImportSource: string;
}

/** TypeScript and JSX as JavaScript. */
export const transformView: View = ({ text, utf8, options }) => {
  const { code, sourceMap } = toJavaScript({ text, utf8, options });
  return { result: { code, ...sizes(utf8, code), ...(sourceMap ? { sourceMap } : {}) }, warnings: [] };
};

/** The same program in as few bytes as it can be said. */
export const minifyView: View = ({ text, utf8, options }) => {
  const { syntax, mangle, sourceMap, target } = options as MinifyOptions;
  const { module, program } = parseValid({ text, utf8, options });
  const isPlain = syntax === 'js' && target === undefined;
  const lowered = {
    syntax,
    sourceMap: false,
    jsx: 'automatic',
    jsxImportSource: 'react',
    ...(target ? { target } : {}),
  } as const;
  const plain = isPlain ? text : toJavaScript({ text, utf8, options: lowered }).code;
  const { code, map, errors } = minifySync('source.js', plain, {
    module: module.hasModuleSyntax || program.sourceType === 'module',
    mangle,
    compress: true,
    sourcemap: sourceMap,
  });
  assertValid(errors, plain);
  return { result: { code, ...sizes(utf8, code), ...(map ? { sourceMap: map } : {}) }, warnings: [] };
};

interface MinifyOptions {
  readonly syntax: Syntax;
  readonly mangle: boolean;
  readonly sourceMap: boolean;
  readonly target?: string;
}

interface Program {
  readonly text: string;
  readonly utf8: Uint8Array;
  readonly options: TransformOptions;
}

/** @throws `parse/syntax`, `parse/too-deep` */
function toJavaScript({ text, utf8, options }: Program) {
  const { syntax, sourceMap, target, jsx, jsxImportSource } = options;
  assertShallow(utf8, JS_BRACKETS);
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
  return { code: done.code, sourceMap: done.map };
}

function sizes(before: Uint8Array, after: string) {
  return { bytesBefore: before.byteLength, bytesAfter: new TextEncoder().encode(after).byteLength };
}
