import { Type } from '@sinclair/typebox';
import type { ViewOptions } from './view.ts';

const Targets = Type.String({
  maxLength: 500,
  pattern: '^[A-Za-z0-9 .,%><=_-]+$',
  description: 'Browsers as a browserslist query, for example "last 2 versions, not dead".',
});
const written = {
  sourceMap: Type.Optional(Type.Boolean({ default: false, description: 'Adds a source map.' })),
};
const page = {
  html: Type.String({ minLength: 1, maxLength: 8 * 1024 * 1024, description: 'The page that uses the stylesheet.' }),
};

/** The views of a stylesheet. */
export const cssOptions = {
  minify: Type.Object({ ...written, targets: Type.Optional(Targets) }),
  format: Type.Object({ ...written }),
  targets: Type.Object({ ...written, targets: Targets }),
  bundle: Type.Object({
    ...written,
    files: Type.Record(Type.String({ minLength: 1, maxLength: 500 }), Type.String({ maxLength: 8 * 1024 * 1024 }), {
      maxProperties: 200,
      description: 'Stylesheets that may be imported, by the path that imports name.',
    }),
    minify: Type.Optional(Type.Boolean({ default: false })),
    targets: Type.Optional(Targets),
  }),
  stats: Type.Object({}),
  dependencies: Type.Object({}),
  unused: Type.Object({ ...page }),
  critical: Type.Object({ ...page }),
} satisfies ViewOptions;
