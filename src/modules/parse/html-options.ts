import { Type } from '@sinclair/typebox';
import type { ViewOptions } from './view.ts';

const base = {
  baseUrl: Type.Optional(
    Type.String({ maxLength: 2048, description: 'Where the page is from, for its relative addresses.' }),
  ),
};
const Selector = Type.String({ minLength: 1, maxLength: 1000, description: 'CSS selector.' });
const Attribute = Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\s"\'<>/=\\u0000]+$' });

/** What a data rule makes of the elements it finds. */
const Rule = Type.Object(
  {
    selector: Selector,
    attribute: Type.Optional(Attribute),
    /** All that match instead of the first. */
    all: Type.Optional(Type.Boolean()),
    type: Type.Optional(
      Type.Union(
        (['text', 'html', 'number', 'boolean', 'date', 'url'] as const).map((word) => Type.Literal(word)),
        { description: 'text, html, number, boolean, date or url' },
      ),
    ),
  },
  { additionalProperties: false },
);

/** The views of a page. */
export const htmlOptions = {
  meta: Type.Object({ ...base }),
  links: Type.Object({ ...base }),
  assets: Type.Object({ ...base }),
  outline: Type.Object({ ...base }),
  tables: Type.Object({ ...base }),
  forms: Type.Object({ ...base }),
  select: Type.Object({
    ...base,
    selector: Type.Optional(Selector),
    attribute: Type.Optional(Attribute),
    rules: Type.Optional(
      Type.Record(Type.String({ minLength: 1, maxLength: 100 }), Rule, {
        maxProperties: 50,
        description: 'Names with rules: {selector, attribute?, all?, type?}.',
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 1000, description: 'Most elements.' })),
  }),
  article: Type.Object({
    ...base,
    format: Type.Optional(
      Type.Union([Type.Literal('html'), Type.Literal('markdown'), Type.Literal('text')], {
        default: 'html',
        description: 'html, markdown or text',
      }),
    ),
  }),
  markdown: Type.Object({
    ...base,
    frontMatter: Type.Optional(
      Type.Boolean({ default: true, description: 'Begins with title, author, word_count, ….' }),
    ),
    content: Type.Optional(
      Type.Union([Type.Literal('article'), Type.Literal('page')], {
        default: 'article',
        description: 'The readable article when there is one, or all of the page.',
      }),
    ),
  }),
  text: Type.Object({ ...base }),
  tree: Type.Object({
    ...base,
    selector: Type.Optional(Selector),
    maxDepth: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 1000 })),
    maxNodes: Type.Optional(Type.Integer({ minimum: 1, maximum: 200_000, default: 50_000 })),
  }),
  rewrite: Type.Object({
    ...base,
    absoluteUrls: Type.Optional(Type.Boolean({ default: false, description: 'Makes every address absolute.' })),
    lazy: Type.Optional(Type.Boolean({ default: false, description: 'Adds loading="lazy" to images and frames.' })),
    set: Type.Optional(
      Type.Array(
        Type.Object(
          { selector: Selector, attribute: Attribute, value: Type.String({ maxLength: 4096 }) },
          { additionalProperties: false },
        ),
        { maxItems: 50, description: 'Attributes to set: {selector, attribute, value}.' },
      ),
    ),
    remove: Type.Optional(
      Type.Array(
        Type.Object({ selector: Selector, attribute: Type.Optional(Attribute) }, { additionalProperties: false }),
        { maxItems: 50, description: 'Attributes, or whole elements, to remove: {selector, attribute?}.' },
      ),
    ),
    integrity: Type.Optional(
      Type.Record(
        Type.String({ maxLength: 2048 }),
        Type.String({ maxLength: 400, pattern: '^sha(256|384|512)-[\\w+/=-]+' }),
        {
          maxProperties: 500,
          description: 'Addresses of scripts and stylesheets with the hashes to pin (Subresource Integrity).',
        },
      ),
    ),
    sanitize: Type.Optional(
      Type.Boolean({ default: false, description: 'Keeps what can do no harm: text, structure, links, images.' }),
    ),
    allowElements: Type.Optional(
      Type.Array(Type.String({ maxLength: 40, pattern: '^[a-z][a-z0-9-]*$' }), {
        maxItems: 200,
        description: 'Elements that sanitize keeps instead of its own list; never more than that list has.',
      }),
    ),
    fragment: Type.Optional(Type.Boolean({ default: false, description: 'Answers what is inside body.' })),
  }),
  minify: Type.Object({ ...base }),
  validate: Type.Object({ ...base }),
} satisfies ViewOptions;
