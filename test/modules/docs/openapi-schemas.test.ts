import { describe, expect, test } from 'bun:test';
import { createSchemaShelf, mendSchema } from '../../../src/modules/docs/openapi-schemas.ts';
import type { JsonSchema } from '../../../src/modules/docs/openapi-types.ts';

describe('a schema as it goes over the wire', () => {
  const cases: readonly [what: string, raw: JsonSchema, mended: JsonSchema][] = [
    [
      'a number that may be read from text is a number',
      {
        minimum: 1,
        anyOf: [
          { type: 'string', format: 'integer', default: 0 },
          { type: 'integer', minimum: 1 },
        ],
      },
      { minimum: 1, type: 'integer' },
    ],
    [
      'a boolean that may be read from text is a boolean',
      { anyOf: [{ type: 'boolean' }, { type: 'string', format: 'boolean', default: false }] },
      { type: 'boolean' },
    ],
    [
      'a date is a date-time string',
      {
        anyOf: [
          { type: 'Date' },
          { type: 'string', format: 'date-time' },
          { type: 'string', format: 'date' },
          { type: 'number' },
        ],
      },
      { type: 'string', format: 'date-time' },
    ],
    [
      'a choice of constants is an enum',
      {
        description: 'd',
        anyOf: [
          { type: 'string', const: 'a' },
          { type: 'string', const: 'b' },
        ],
      },
      { description: 'd', type: 'string', enum: ['a', 'b'] },
    ],
    [
      'null is a type',
      { nullable: true, anyOf: [{ type: 'string', maxLength: 5 }, { type: 'null' }] },
      { type: ['string', 'null'], maxLength: 5 },
    ],
    [
      'a constant or null stays a choice',
      { anyOf: [{ type: 'string', const: 'a' }, { type: 'null' }] },
      { anyOf: [{ type: 'string', const: 'a' }, { type: 'null' }] },
    ],
    ['our own text for a fault is not part of it', { type: 'string', error: 'must be nice' }, { type: 'string' }],
    [
      'a real choice stays one',
      { anyOf: [{ type: 'string' }, { type: 'number' }] },
      { anyOf: [{ type: 'string' }, { type: 'number' }] },
    ],
    [
      'what is nested is mended too',
      {
        type: 'object',
        properties: {
          list: { type: 'array', items: { anyOf: [{ type: 'number' }, { type: 'string', format: 'numeric' }] } },
        },
      },
      { type: 'object', properties: { list: { type: 'array', items: { type: 'number' } } } },
    ],
    [
      'a field called like a keyword is a field',
      { type: 'object', properties: { nullable: { type: 'boolean' }, anyOf: { type: 'string' } } },
      { type: 'object', properties: { nullable: { type: 'boolean' }, anyOf: { type: 'string' } } },
    ],
  ];
  test.each(cases)('%s', (_, raw, mended) => {
    expect(mendSchema(raw)).toEqual(mended);
  });
});

describe('the shelf of named schemas', () => {
  const cat = { title: 'Cat', type: 'object', properties: { name: { type: 'string' } } };

  test('keeps a titled object once and leaves references', () => {
    const shelf = createSchemaShelf();
    expect(shelf.shelve({ type: 'array', items: cat })).toEqual({
      type: 'array',
      items: { $ref: '#/components/schemas/Cat' },
    });
    expect(shelf.shelve({ ...cat, description: 'A cat.' })).toEqual({ $ref: '#/components/schemas/Cat' });
    expect(shelf.schemas).toEqual({
      Cat: { type: 'object', description: 'A cat.', properties: { name: { type: 'string' } } },
    });
  });

  test('leaves a second schema of the same title where it is', () => {
    const shelf = createSchemaShelf();
    shelf.shelve(cat);
    const other = { title: 'Cat', type: 'object', properties: { age: { type: 'integer' } } };
    expect(shelf.shelve(other)).toEqual(other);
  });

  test('does not take a title that is a sentence for a name', () => {
    const shelf = createSchemaShelf();
    const described = { ...cat, title: 'A cat with a name' };
    expect(shelf.shelve(described)).toEqual(described);
    expect(shelf.schemas).toEqual({});
  });
});
