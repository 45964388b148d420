import { Elysia, type TSchema, t } from 'elysia';
import { guard } from '../../../src/web/guard.ts';
import type { Module } from '../../../src/web/module.ts';
import {
  BINARY,
  binaryResponse,
  Id,
  jsonResponse,
  ListQuery,
  listOf,
  multipartBody,
  OPTIONAL_SIGN_IN,
  Problem,
  problemResponse,
  rawBody,
  Timestamp,
} from '../../../src/web/schemas.ts';

const File = t.Object(
  {
    id: Id,
    name: t.String(),
    visibility: t.Union([t.Literal('private'), t.Literal('public')]),
    thumbhash: t.Nullable(t.String()),
    createdAt: Timestamp,
  },
  { title: 'File', description: 'A stored file.' },
);

const byId = t.Object({ id: Id });

/** A room with one route of each kind that the document has to describe. */
export function sampleModule(): Module {
  const routes = new Elysia({ name: 'sample' })
    .use(guard)
    .get('/api/files', () => null as never, {
      signedIn: true,
      query: ListQuery,
      response: listOf(File),
      detail: { tags: ['files'], summary: 'List files' },
    })
    .post('/api/files', () => null as never, {
      signedIn: true,
      parse: 'none',
      detail: {
        tags: ['files'],
        summary: 'Upload files',
        requestBody: multipartBody({ file: { type: 'array', items: BINARY }, visibility: { type: 'string' } }, [
          'file',
        ]),
        responses: {
          201: jsonResponse('The files.', t.Object({ items: t.Array(File) })),
          507: problemResponse('There is no room left.'),
        },
      },
    })
    .put('/api/files/by-name/:name', () => null as never, {
      signedIn: true,
      parse: 'none',
      detail: {
        tags: ['files'],
        summary: 'Put a file',
        requestBody: rawBody('The bytes.'),
        responses: { 200: jsonResponse('Replaced.', File), 201: jsonResponse('New.', File) },
      },
    })
    .get('/api/files/:id', () => null as never, {
      signedIn: true,
      params: byId,
      response: File,
      detail: { tags: ['files'], summary: 'Describe a file' },
    })
    .patch('/api/files/:id', () => null as never, {
      signedIn: true,
      params: byId,
      body: t.Object({ name: t.Optional(t.String({ minLength: 1 })) }, { title: 'FileChange' }),
      response: { 200: File, 409: Problem },
      detail: { tags: ['files'], summary: 'Change a file' },
    })
    .delete('/api/files/:id', () => null as never, {
      signedIn: true,
      params: byId,
      response: { 204: t.Void() },
      detail: { tags: ['files'], summary: 'Delete a file' },
    })
    .get('/api/files/:id/content', () => null as never, {
      anyone: true,
      params: byId,
      detail: {
        tags: ['files'],
        summary: 'Read a file',
        security: OPTIONAL_SIGN_IN,
        responses: { 200: binaryResponse('The bytes.') },
      },
    })
    .post('/api/auth/token', () => null as never, {
      anyone: true,
      signInLimit: true,
      parse: 'urlencoded',
      body: t.Object({}, { additionalProperties: true }),
      response: {
        200: t.Object({ access_token: t.String() }, { title: 'Tokens' }),
        400: t.Object({ error: t.String() }, { title: 'TokenError' }),
      },
      detail: {
        tags: ['auth'],
        summary: 'Get tokens',
        requestBody: {
          required: true,
          content: {
            'application/x-www-form-urlencoded': {
              schema: t.Object({ grant_type: t.String() }, { title: 'TokenRequest' }) as TSchema,
            },
          },
        },
      },
    })
    .get('/metrics', () => '', {
      admin: true,
      response: t.String(),
      detail: { tags: ['health'], summary: 'Metrics' },
    })
    .post('/api/auth/logout', () => null as never, {
      anyone: true,
      body: t.Optional(t.Object({ everywhere: t.Optional(t.Boolean()) })),
      response: { 204: t.Void() },
      detail: { tags: ['auth'], summary: 'Sign out' },
    })
    .use(
      new Elysia({ prefix: '/api/users' }).use(guard).get('/', () => [], {
        admin: true,
        response: t.Array(t.String()),
        detail: { tags: ['users'], summary: 'List users' },
      }),
    )
    .get('/hidden', () => '', { anyone: true, detail: { hide: true } });
  return { name: 'sample', routes };
}
