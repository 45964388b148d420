import type { TUnsafe } from '@sinclair/typebox';
import { type TSchema, t } from 'elysia';

/**
 * Schemas and OpenAPI facts that the rooms share.
 *
 * What a route says of itself goes into the published document like this:
 *
 * - `title` of an object schema names it: equal schemas of one title are listed once under `components.schemas`.
 * - Problem answers are added by the document itself: 401 and 403 where a right is needed, 429 everywhere, 404 where
 *   the path has parameters, 422 where there is a body or a query, 400, 413 and 415 where there is a body. A route adds the ones that are
 *   its own with `response: { 409: Problem }`, or with a text: `detail: { responses: { 409: problemResponse('…') } }`.
 * - `detail.security` of a route that anyone may call, but that shows more to those who sign in, is
 *   {@link OPTIONAL_SIGN_IN}; that adds 401, for a credential that is not believed.
 * - `detail.requestBody` describes a body that the handler reads raw (`parse: 'none'`, no `body` schema); see
 *   {@link multipartBody} and {@link rawBody}.
 * - `detail.responses` describes answers that are not JSON; see {@link binaryResponse}. It replaces what `response`
 *   says, so a route has one or the other.
 */

/** A failure (RFC 9457). */
export const Problem = t.Object(
  {
    type: t.String({ description: 'Path of the page that documents this kind of failure.' }),
    title: t.String({ description: 'Short summary of the kind.' }),
    status: t.Integer({ description: 'The HTTP status, once more.' }),
    detail: t.String({ description: 'What went wrong here and what to do about it.' }),
    instance: t.String({ description: 'Path of the request that failed.' }),
    code: t.String({ description: 'Stable name of the kind: `area/name`.' }),
    requestId: t.String({ description: 'Finds the request in the log.' }),
    errors: t.Optional(
      t.Array(
        t.Object({
          pointer: t.String({ description: 'JSON pointer (RFC 6901) to the faulty field.' }),
          detail: t.String({ description: 'What is expected there.' }),
        }),
        { description: 'Faulty fields, on 422.' },
      ),
    ),
  },
  { title: 'Problem', description: 'A failure (RFC 9457).' },
);

/**
 * A point in time on the wire: ISO 8601 in UTC. For answers only: it is described and not checked, since checking costs more than
 * the rest of an answer together.
 */
export const Timestamp = t.Any({
  type: 'string',
  format: 'date-time',
  description: 'ISO 8601, UTC.',
}) as unknown as TUnsafe<string>;

/** A UUID in a path or a body. */
export const Id = t.String({ format: 'uuid' });

/**
 * One of some words. `t.UnionEnum` is not fit for this: it makes the first word the default, so a PATCH that leaves an
 * optional field out would set it.
 */
export function oneOf<const Word extends string>(words: readonly Word[]) {
  return t.Union(words.map((word) => t.Literal(word))) as unknown as TUnsafe<Word>;
}

const LIST_LIMIT = 50;
const LIST_LIMIT_MAX = 200;

/** `?limit=&cursor=`: which page of a list is asked for. `limit` is always there for the handler. */
export const ListQuery = t.Object({
  limit: t.Optional(
    t.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, default: LIST_LIMIT, description: 'Most items in one answer.' }),
  ),
  cursor: t.Optional(
    t.String({ maxLength: 512, description: 'Where to go on: `nextCursor` of the answer before. Opaque.' }),
  ),
});

/** One page of a list. `nextCursor` is null on the last one. */
export function listOf<Item extends TSchema>(item: Item) {
  return t.Object({
    items: t.Array(item),
    nextCursor: t.Union([t.String(), t.Null()], { description: 'For the next page; null when this is the last.' }),
  });
}

/** `detail.security` of a route that needs no sign-in but looks at who is asking. */
export const OPTIONAL_SIGN_IN: Record<string, string[]>[] = [{ bearer: [] }, { password: [] }, { cookie: [] }, {}];

/** Bytes, for descriptions: `format` is read by OpenAPI 3.0 tools, `contentMediaType` by those of 3.1. */
export const BINARY = { type: 'string', format: 'binary', contentMediaType: 'application/octet-stream' } as const;

/** `detail.requestBody` of a form with files; `properties` are JSON schemas, {@link BINARY} for a file. */
export function multipartBody(properties: Readonly<Record<string, object>>, required: readonly string[]) {
  return {
    required: true,
    content: { 'multipart/form-data': { schema: { type: 'object' as const, properties, required: [...required] } } },
  };
}

/** `detail.requestBody` of bytes that are taken as they are. */
export function rawBody(description: string, type = 'application/octet-stream') {
  return { required: true, description, content: { [type]: { schema: BINARY } } };
}

/** An entry of `detail.responses` for bytes of any type. */
export function binaryResponse(description: string) {
  return { description, content: { '*/*': { schema: BINARY } } };
}

/** An entry of `detail.responses` for JSON. */
export function jsonResponse(description: string, schema: TSchema) {
  return { description, content: { 'application/json': { schema } } };
}

/** An entry of `detail.responses` for a failure that is the route's own. */
export function problemResponse(description: string) {
  return { description, content: { 'application/problem+json': { schema: Problem as TSchema } } };
}
