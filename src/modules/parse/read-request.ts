import { type TObject, type TSchema, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { Value } from '@sinclair/typebox/value';
import type { FieldFault } from '../../kernel/errors.ts';
import { cssOptions } from './css-options.ts';
import { htmlOptions } from './html-options.ts';
import type { Language, ParseRequest } from './job.ts';
import { jsOptions } from './js-options.ts';
import type { ViewOptions } from './view.ts';

/** The views of each language with their options; the first is what comes when none is named. */
export const VIEWS: Readonly<Record<Language, ViewOptions>> = { html: htmlOptions, css: cssOptions, js: jsOptions };

/** Where a source may stand in a JSON body, exactly one of them. */
const SOURCES = ['source', 'fileId', 'url'] as const;

/** A JSON body, read. */
export interface BodyRequest {
  readonly request: ParseRequest;
  readonly source: string | null;
  readonly fileId: string | null;
  readonly url: string | null;
}

/** What is wrong with a request. */
export interface Faulty {
  readonly faults: readonly FieldFault[];
}

/** Reads a JSON body: the view, its options and where the source is. */
export function readBody(language: Language, body: unknown): BodyRequest | Faulty {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return { faults: [{ pointer: '', detail: 'Expected an object' }] };
  }
  const { source, fileId, url, view, ...options } = body as Record<string, unknown>;
  const given = SOURCES.filter((name) => (body as Record<string, unknown>)[name] !== undefined);
  if (given.length !== 1) return { faults: [{ pointer: '', detail: 'Expected one of source, fileId and url' }] };
  const [name] = given as [(typeof SOURCES)[number]];
  const value = { source, fileId, url }[name];
  if (typeof value !== 'string') return { faults: [{ pointer: `/${name}`, detail: 'Expected string' }] };
  const request = readRequest(language, view, options);
  if ('faults' in request) return request;
  return { request, source: null, fileId: null, url: null, [name]: value };
}

/** Reads a query or the fields of a form: texts alone, so lists and objects come as JSON. */
export function readTexts(
  language: Language,
  { view, ...texts }: Readonly<Record<string, string>>,
): ParseRequest | Faulty {
  const schema = schemaOf(language, view);
  const options = Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, fromText(schema?.properties[name], text)]),
  );
  return readRequest(language, view, options);
}

function readRequest(language: Language, view: unknown, options: object): ParseRequest | Faulty {
  const names = Object.keys(VIEWS[language]);
  const schema = schemaOf(language, view);
  if (!schema) return { faults: [{ pointer: '/view', detail: `Expected one of ${names.join(', ')}` }] };
  const checker = checkerOf(schema);
  const filled = Value.Default(schema, Value.Clone(options)) as Record<string, unknown>;
  if (checker.Check(filled)) return { view: (view as string | undefined) ?? (names[0] as string), options: filled };
  const faults: FieldFault[] = [];
  for (const { path, message, schema: at } of checker.Errors(filled)) {
    if (faults.length < 20)
      faults.push({ pointer: path, detail: at.description ? `${message}: ${at.description}` : message });
  }
  return { faults };
}

function schemaOf(language: Language, view: unknown): TObject | undefined {
  const views = VIEWS[language];
  if (view === undefined) return Object.values(views)[0];
  return typeof view === 'string' && Object.hasOwn(views, view) ? views[view] : undefined;
}

const checkers = new WeakMap<TObject, ReturnType<typeof TypeCompiler.Compile<TObject>>>();

function checkerOf(schema: TObject) {
  const known = checkers.get(schema);
  if (known) return known;
  const compiled = TypeCompiler.Compile(Type.Object(schema.properties, { additionalProperties: false }));
  checkers.set(schema, compiled);
  return compiled;
}

/** A text as the value that the schema asks for; the text itself when it is none, so that the check names the fault. */
function fromText(schema: TSchema | undefined, text: string): unknown {
  if (!schema || schema['type'] === 'string') return text;
  if (schema['type'] === 'boolean')
    return text === '' || text === '1' || text === 'true' ? true : text === '0' || text === 'false' ? false : text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
