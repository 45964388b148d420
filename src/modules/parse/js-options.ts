import { Type } from '@sinclair/typebox';
import type { ViewOptions } from './view.ts';

const words = <const Word extends string>(all: readonly Word[], options: { default: Word; description?: string }) =>
  Type.Union(
    all.map((word) => Type.Literal(word)),
    { ...options, description: `${options.description ?? ''} ${all.join(', ')}`.trim() },
  );

const read = {
  syntax: Type.Optional(
    words(['js', 'jsx', 'ts', 'tsx'], { default: 'tsx', description: 'How the source is written:' }),
  ),
};
const written = {
  sourceMap: Type.Optional(Type.Boolean({ default: false, description: 'Adds a source map.' })),
};
const Target = Type.String({
  maxLength: 200,
  pattern:
    '^(es\\d{4}|esnext|(chrome|edge|firefox|safari|ios|opera|node|deno)[\\d.]+)(,(es\\d{4}|(chrome|edge|firefox|safari|ios|opera|node|deno)[\\d.]+))*$',
  description: 'Oldest engines that must run it, for example es2020 or chrome90,safari15.',
});

/** The views of JavaScript and TypeScript. */
export const jsOptions = {
  imports: Type.Object({ ...read }),
  exports: Type.Object({ ...read }),
  transform: Type.Object({
    ...read,
    ...written,
    target: Type.Optional(Target),
    jsx: Type.Optional(
      words(['automatic', 'classic', 'preserve'], { default: 'automatic', description: 'What JSX becomes:' }),
    ),
    jsxImportSource: Type.Optional(Type.String({ maxLength: 200, pattern: '^[@\\w./-]+$', default: 'react' })),
  }),
  minify: Type.Object({
    ...read,
    ...written,
    mangle: Type.Optional(
      Type.Boolean({ default: true, description: 'Shortens names that are not seen from outside.' }),
    ),
    target: Type.Optional(Target),
  }),
  ast: Type.Object({ ...read, comments: Type.Optional(Type.Boolean({ default: false })) }),
  errors: Type.Object({ ...read }),
  stats: Type.Object({ ...read }),
} satisfies ViewOptions;
