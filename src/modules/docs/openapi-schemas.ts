import type { JsonSchema } from './openapi-types.ts';

/**
 * Turns a schema as the generator gives it into one that says what goes over the wire.
 *
 * - Query numbers come as `string | number`, because the router reads them from text: only the number is told.
 * - Dates come as a four-fold choice with the non-type `Date`: an ISO 8601 string is told.
 * - A choice of constants becomes an `enum`.
 * - `nullable`, which 3.1 does not know, goes: the `null` type says it. `error`, our own text for the fault, goes too.
 */
export function mendSchema(schema: JsonSchema): JsonSchema {
  const { nullable: _nullable, error: _error, ...rest } = mapParts(schema, mendSchema);
  if (rest.type === 'Date') return { ...rest, type: 'string', format: 'date-time' };
  const choices = rest.anyOf;
  if (!Array.isArray(choices)) return rest;
  const { anyOf: _anyOf, ...outer } = rest;
  return mendChoice(choices as JsonSchema[], outer) ?? rest;
}

const READ_FROM_TEXT = new Set(['numeric', 'integer', 'boolean', 'ObjectString', 'ArrayString']);

/** The one schema that a choice comes down to, or null when it is a real choice. */
function mendChoice(choices: readonly JsonSchema[], outer: JsonSchema): JsonSchema | null {
  const date = choices.find((choice) => choice.format === 'date-time');
  if (date && choices.some((choice) => choice.type === 'number') && choices.length > 2) {
    return { ...outer, type: 'string', format: 'date-time' };
  }
  const wire = choices.filter((choice) => !(choice.type === 'string' && READ_FROM_TEXT.has(choice.format as string)));
  if (wire.length === 1 && wire.length < choices.length) return { ...outer, ...wire[0] };
  const types = new Set(choices.map((choice) => choice.type));
  if (choices.length > 0 && choices.every((choice) => 'const' in choice) && types.size === 1) {
    return { ...outer, type: [...types][0], enum: choices.map((choice) => choice.const) };
  }
  const [some, none] = choices;
  if (
    choices.length === 2 &&
    none?.type === 'null' &&
    typeof some?.type === 'string' &&
    !some.enum &&
    !('const' in some)
  ) {
    return { ...some, ...outer, type: [some.type, 'null'] };
  }
  return null;
}

/** Named schemas, each listed once: a schema with a `title` moves into the components and a reference stays. */
export interface SchemaShelf {
  /** Puts every titled object schema inside `schema` on the shelf and answers with the references in place. */
  shelve(schema: JsonSchema): JsonSchema;
  readonly schemas: Readonly<Record<string, JsonSchema>>;
}

export function createSchemaShelf(): SchemaShelf {
  const schemas: Record<string, JsonSchema> = {};
  const shelve = (schema: JsonSchema): JsonSchema => {
    const inner = mapParts(schema, shelve);
    const { title } = inner;
    if (typeof title !== 'string' || inner.type !== 'object' || !/^[A-Za-z][A-Za-z0-9._-]*$/.test(title)) return inner;
    const { title: _, ...named } = inner;
    const known = schemas[title];
    if (known && !isSameShape(known, named)) return inner;
    schemas[title] = { ...known, ...named };
    return { $ref: `#/components/schemas/${title}` };
  };
  return { shelve, schemas };
}

/** The generator takes the description and `additionalProperties` away from what is answered directly. */
function isSameShape(a: JsonSchema, b: JsonSchema): boolean {
  const shape = ({ type, properties, required }: JsonSchema) => JSON.stringify([type, properties, required]);
  return shape(a) === shape(b);
}

const LISTS = ['anyOf', 'allOf', 'oneOf', 'prefixItems'];
const SINGLES = ['items', 'additionalProperties', 'not'];
const TABLES = ['properties', 'patternProperties'];

/** The schema with `change` done to each schema directly inside it. */
function mapParts(schema: JsonSchema, change: (part: JsonSchema) => JsonSchema): JsonSchema {
  const result: Record<string, unknown> = { ...schema };
  for (const key of LISTS) if (Array.isArray(result[key])) result[key] = (result[key] as JsonSchema[]).map(change);
  for (const key of SINGLES) if (isObject(result[key])) result[key] = change(result[key]);
  for (const key of TABLES) {
    const table = result[key];
    if (isObject(table)) {
      result[key] = Object.fromEntries(Object.entries(table).map(([name, part]) => [name, change(part as JsonSchema)]));
    }
  }
  return result;
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
