import { type TSchema, Type } from '@sinclair/typebox';
import type { Language } from './job.ts';
import { VIEWS } from './read-request.ts';

/** The JSON body of a language: where the source is, the view, and the options of every view beside it. */
export function describeBody(language: Language): TSchema {
  const views = VIEWS[language];
  const options: Record<string, TSchema> = {};
  for (const [view, { properties }] of Object.entries(views)) {
    for (const [name, schema] of Object.entries(properties)) {
      options[name] ??= Type.Optional({ ...schema, description: `${schema.description ?? ''} (${view})`.trim() });
    }
  }
  return Type.Object({
    source: Type.Optional(Type.String({ description: 'The source itself.' })),
    fileId: Type.Optional(Type.String({ description: 'Id of a file that you may read.' })),
    url: Type.Optional(Type.String({ description: 'Public address to fetch it from, where the server allows that.' })),
    view: Type.Optional(
      Type.Unsafe<string>({ type: 'string', enum: Object.keys(views), default: Object.keys(views)[0] }),
    ),
    ...options,
  });
}

/** What comes back. `result` depends on the view; docs/parse.md describes each. */
export function describeAnswer(language: Language): TSchema {
  return Type.Object({
    view: Type.Unsafe<string>({ type: 'string', enum: Object.keys(VIEWS[language]) }),
    result: Type.Unknown({ description: 'What the view shows.' }),
    warnings: Type.Array(
      Type.Object({
        message: Type.String(),
        line: Type.Optional(Type.Integer({ description: 'From 1.' })),
        column: Type.Optional(Type.Integer({ description: 'From 1, in UTF-16 units.' })),
        length: Type.Optional(Type.Integer()),
        code: Type.Optional(Type.String()),
      }),
    ),
    timing: Type.Object({ ms: Type.Number({ description: 'From the request to the answer.' }) }),
  });
}
