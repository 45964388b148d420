import { Elysia, type Static, t } from 'elysia';
import { isUuid, toBase64Url } from '../../kernel/ids.ts';
import { accessProblems, requestProblems } from '../../kernel/problems.ts';
import { contextOf } from '../../web/context.ts';
import { guard } from '../../web/guard.ts';
import {
  BINARY,
  binaryResponse,
  jsonResponse,
  ListQuery,
  listOf,
  multipartBody,
  OPTIONAL_SIGN_IN,
  Problem,
  problemResponse,
  rawBody,
} from '../../web/schemas.ts';
import { JsonAnswer } from '../../web/security-headers.ts';
import { FileChanges, FileSchema, toFile } from './file-schema.ts';
import { ImageQuery, toRecipe } from './image-query.ts';
import { uploadProblems } from './problems.ts';
import { receiveForm, receiveRaw } from './receive.ts';
import type { UploadService } from './service.ts';
import { serveFile, servePicture } from './serving.ts';
import type { FileRecord } from './store.ts';

const tags = ['files'];
const FileId = t.Object({ id: t.String({ description: 'Id of the file.' }) });
const Download = t.Object({
  download: t.Optional(t.Literal('1', { description: 'Offers the file for saving, whatever its type.' })),
});
const uploadFailures = { 408: Problem, 413: Problem, 507: Problem };
const DEFAULT_LIMIT = 50;

/** Files of signed-in people, and public files for everybody. */
export function uploadRoutes(service: UploadService) {
  /** A missing file and one that is not for this caller look alike. */
  const getReadable = (request: Request, id: string): FileRecord | Promise<FileRecord> => {
    const { caller, credentialFault } = contextOf(request);
    const existing = (file: FileRecord | null): FileRecord => {
      if (file) return file;
      throw caller ? uploadProblems.create('not-found') : (credentialFault ?? accessProblems.create('required'));
    };
    const file = service.findReadable(caller, id);
    return file instanceof Promise ? file.then(existing) : existing(file);
  };
  const describe = (request: Request, id: string) => {
    const file = getReadable(request, id);
    return file instanceof Promise ? file.then(toAnswer) : toAnswer(file);
  };
  const sendContent = async (request: Request, id: string, isDownload: boolean) => {
    const file = await getReadable(request, id);
    return serveFile(request, file, isDownload, (range) => service.open(file, range));
  };

  const sendPicture = async (request: Request, id: string, query: Static<typeof ImageQuery>) => {
    const file = await getReadable(request, id);
    const recipe = toRecipe(query, file.type, request.headers.get('accept'));
    const picture = await service.variants.get(file, recipe);
    return servePicture(request, file, picture, query.format === undefined, (range) =>
      service.variants.open(picture, range),
    );
  };

  return new Elysia({ name: 'uploads', prefix: '/api/files' })
    .use(guard)
    .post(
      '/',
      async ({ request, caller, set }) => {
        const files = await receiveForm(service, caller.id, request);
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
        const { file, isNew } = await receiveRaw(service, caller.id, request);
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
    )
    .get(
      '/:id/content',
      ({ request, params: { id }, query: { download } }) => sendContent(request, id, download === '1'),
      {
        anyone: true,
        params: FileId,
        query: Download,
        detail: {
          tags,
          operationId: 'downloadFile',
          security: OPTIONAL_SIGN_IN,
          summary: 'Download a file',
          description:
            'Understands HEAD, Range, If-Range and the preconditions of RFC 9110. Public files need no sign-in.',
          responses: {
            200: binaryResponse('The content.'),
            206: binaryResponse('The ranges that were asked for.'),
            304: { description: 'The content is the one you have.' },
          },
        },
      },
    )
    .get('/:id/image', ({ request, params: { id }, query }) => sendPicture(request, id, query), {
      anyone: true,
      params: FileId,
      query: ImageQuery,
      detail: {
        tags,
        operationId: 'showFileAsImage',
        security: OPTIONAL_SIGN_IN,
        summary: 'Show an image in another size or format',
        description:
          'Made at the first request and kept. Nothing is enlarged; sides are rounded up to steps and are at most 2560. ' +
          '`fit`: all of it `inside` the box, or `cover` the box and be cut at the centre, or `fill` it and be stretched. ' +
          'Without `format` the Accept header decides. EXIF rotation is applied and all metadata removed.',
        responses: {
          200: binaryResponse('The picture.'),
          206: binaryResponse('The ranges that were asked for.'),
          304: { description: 'The picture is the one you have.' },
          503: problemResponse('Too many pictures are wished for at once.'),
        },
      },
    });
}

function toAnswer(file: FileRecord): JsonAnswer {
  return new JsonAnswer(toFile(file));
}

/** Where a list goes on: the last id, so that new files do not shift the pages. */
function toCursor(id: string): string {
  return toBase64Url(new TextEncoder().encode(id));
}

function fromCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('latin1');
  if (isUuid(id)) return id;
  throw requestProblems.create('invalid', {
    faults: [{ pointer: '/query/cursor', detail: 'Expected a nextCursor of this list' }],
  });
}
