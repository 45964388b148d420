import { Elysia, t } from 'elysia';
import { fromCursor, toCursor } from '../../web/cursor.ts';
import { guard } from '../../web/guard.ts';
import { createJsonAnswers } from '../../web/ready-headers.ts';
import {
  BINARY,
  jsonResponse,
  ListQuery,
  listOf,
  multipartBody,
  OPTIONAL_SIGN_IN,
  Problem,
  rawBody,
} from '../../web/schemas.ts';
import { FileChanges, FileSchema, toFile } from './file-schema.ts';
import { createGetReadable } from './readable.ts';
import { receiveForm, receiveRaw } from './receive.ts';
import type { UploadService } from './service.ts';
import type { FileRecord } from './store.ts';
import type { OpenTurn } from './turns.ts';

const tags = ['files'];
const FileId = t.Object({ id: t.String({ description: 'Id of the file.' }) });
const uploadFailures = { 408: Problem, 413: Problem, 507: Problem };
const DEFAULT_LIMIT = 50;

/** Files of signed-in people, and public files for everybody. */
export function uploadRoutes(service: UploadService, openTurn: OpenTurn) {
  const getReadable = createGetReadable(service);
  const answerJson = createJsonAnswers();
  const describe = (request: Request, id: string) => {
    const toAnswer = (file: FileRecord) => answerJson(request, toFile(file));
    const file = getReadable(request, id);
    return file instanceof Promise ? file.then(toAnswer) : toAnswer(file);
  };
  return new Elysia({ name: 'uploads', prefix: '/api/files' })
    .use(guard)
    .post(
      '/',
      async ({ request, caller, set }) => {
        const files = await receiveForm(service, openTurn, caller.id, request);
        set.status = 201;
        return { items: files.map(toFile) };
      },
      {
        signedIn: true,
        parse: 'none',
        response: {
          201: t.Object({ items: t.Array(FileSchema) }),
          400: Problem,
          415: Problem,
          422: Problem,
          ...uploadFailures,
        },
        detail: {
          tags,
          operationId: 'uploadFiles',
          summary: 'Upload files',
          description: 'Keeps all files of the form or none. They are answered in the order in which they were sent.',
          requestBody: multipartBody(
            {
              file: { type: 'array', items: BINARY, minItems: 1, maxItems: 100 },
              visibility: { type: 'string', enum: ['private', 'public'], default: 'private' },
            },
            ['file'],
          ),
        },
      },
    )
    .put(
      '/by-name/:name',
      async ({ request, caller, set }) => {
        const { file, isNew } = await receiveRaw(service, openTurn, caller.id, request);
        set.status = isNew ? 201 : 200;
        return toFile(file);
      },
      {
        signedIn: true,
        parse: 'none',
        response: { 200: FileSchema, 201: FileSchema, 400: Problem, 422: Problem, ...uploadFailures },
        detail: {
          tags,
          operationId: 'putFileByName',
          summary: 'Create or replace a file by name',
          description:
            'The body is the content. When you have a file of that name its content is replaced and its id stays (200); ' +
            'of several the newest is taken. Else a private file is made (201).',
          parameters: [
            {
              name: 'name',
              in: 'path',
              required: true,
              schema: { type: 'string' },
              description: 'File name, percent-encoded.',
            },
          ],
          requestBody: rawBody('The content of the file.'),
        },
      },
    )
    .get(
      '/',
      async ({ caller, query: { limit = DEFAULT_LIMIT, cursor } }) => {
        const { items, next } = await service.list(caller.id, limit, cursor === undefined ? null : fromCursor(cursor));
        return { items: items.map(toFile), nextCursor: next === null ? null : toCursor(next) };
      },
      {
        signedIn: true,
        query: ListQuery,
        response: { 200: listOf(FileSchema), 422: Problem },
        detail: { tags, operationId: 'listFiles', summary: 'List your files', description: 'Newest first.' },
      },
    )
    .get('/:id', ({ request, params: { id } }) => describe(request, id), {
      anyone: true,
      params: FileId,
      detail: {
        tags,
        operationId: 'getFile',
        security: OPTIONAL_SIGN_IN,
        summary: 'Describe a file',
        description: 'Public files need no sign-in.',
        responses: { 200: jsonResponse('Done.', FileSchema) },
      },
    })
    .patch('/:id', async ({ caller, params: { id }, body }) => toFile(await service.change(caller, id, body)), {
      signedIn: true,
      params: FileId,
      body: FileChanges,
      response: { 200: FileSchema, 404: Problem, 422: Problem },
      detail: { tags, operationId: 'changeFile', summary: 'Rename a file or change who may see it' },
    })
    .delete(
      '/:id',
      async ({ caller, params: { id }, set }) => {
        await service.remove(caller, id);
        set.status = 204;
      },
      {
        signedIn: true,
        params: FileId,
        response: { 204: t.Void({ description: 'It is gone.' }), 404: Problem },
        detail: { tags, operationId: 'deleteFile', summary: 'Delete a file' },
      },
    );
}
