import { Elysia, t } from 'elysia';
import { requestProblems } from '../../kernel/problems.ts';
import { guard } from '../../web/guard.ts';
import { withoutIdleCut } from '../../web/idle-cut.ts';
import { rawBody } from '../../web/schemas.ts';
import { CHECKSUM_ALGORITHMS } from './checksums.ts';
import { readBody } from './incoming.ts';
import { uploadProblems } from './problems.ts';
import type { OpenTurn } from './turns.ts';
import {
  CONTENT_TYPE,
  EXTENSIONS,
  parseChecksum,
  parseConcatenation,
  readCount,
  readCreationLength,
  TUS_PATH,
  TUS_VERSION,
} from './tus-protocol.ts';
import type { IncomingBytes } from './tus-receive.ts';
import type { ResumableService, UploadState } from './tus-service.ts';

export interface TusRoutesOptions {
  readonly service: ResumableService;
  /** Largest upload in bytes; 0 for no limit. */
  readonly maxBytes: number;
  /** Path in front of ours, when a proxy takes one away; empty when not. */
  readonly basePath: () => string;
  /** A body that stays silent for so long is given up. */
  readonly stallMs: number;
  readonly openTurn: OpenTurn;
}

const tags = ['resumable uploads'];
const UploadId = t.Object({ id: t.String({ description: 'Id of the upload.' }) });

/** The tus resumable upload protocol, https://tus.io/protocols/resumable-upload. Quotations are from version 1.0.0. */
export function tusRoutes({ service, maxBytes, basePath, stallMs, openTurn }: TusRoutesOptions) {
  const wire = {
    // "The Tus-Resumable header MUST be included in every request and response except for OPTIONS requests."
    always: { 'tus-resumable': TUS_VERSION },
    // "A successful response … MUST contain the Tus-Version header. It MAY include the Tus-Extension and Tus-Max-Size headers."
    options: {
      'tus-version': TUS_VERSION,
      'tus-extension': EXTENSIONS.join(','),
      'tus-checksum-algorithm': CHECKSUM_ALGORITHMS.join(','),
      ...(maxBytes > 0 ? { 'tus-max-size': String(maxBytes) } : {}),
    },
  };

  const incoming = (request: Request): IncomingBytes => {
    // "All PATCH requests MUST use Content-Type: application/offset+octet-stream, otherwise the server SHOULD return a 415."
    const type = request.headers.get('content-type')?.trim().toLowerCase();
    if (type !== CONTENT_TYPE) {
      throw requestProblems.create('unsupported-media-type', {
        detail: `This address takes a body of type ${CONTENT_TYPE}.`,
      });
    }
    const declared = request.headers.get('content-length');
    return {
      body: readBody(request.body, { stallMs, turn: openTurn(), signal: request.signal }),
      declaredBytes: declared === null ? null : Number(declared),
      checksum: parseChecksum(request.headers.get('upload-checksum')),
    };
  };

  const create = async (request: Request, ownerId: string): Promise<Response> => {
    refuseOtherVersions(request);
    const { headers } = request;
    const concatenation = headers.get('upload-concat');
    // "The Client MUST NOT include the Upload-Length header in the final upload creation."
    const isFinal = parseConcatenation(concatenation)?.kind === 'final';
    const length = isFinal ? null : readCreationLength(headers);
    const metadata = headers.get('upload-metadata') ?? '';
    const bytes = hasBody(request) && !isFinal ? incoming(request) : null;
    const state = await withoutIdleCut(request, () =>
      service.create(ownerId, { length, metadata, concatenation, incoming: bytes }),
    );
    return answer(201, state, { location: `${basePath()}${TUS_PATH}/${state.record.id}` });
  };

  const append = async (request: Request, ownerId: string, id: string): Promise<Response> => {
    refuseOtherVersions(request);
    const bytes = incoming(request);
    const offset = readCount(request.headers, 'Upload-Offset');
    if (offset === null)
      throw uploadProblems.create('invalid-header', { detail: 'The header Upload-Offset is missing.' });
    const length = readCount(request.headers, 'Upload-Length');
    // Bodies come as slowly as they like, and the last step of a very large upload reads it once more.
    const state = await withoutIdleCut(request, () => service.append(ownerId, id, { ...bytes, offset, length }));
    return answer(204, state);
  };

  const describe = async (request: Request, ownerId: string, id: string): Promise<Response> => {
    refuseOtherVersions(request);
    const state = await withoutIdleCut(request, () => service.describe(ownerId, id));
    const { length, metadata, concatenation } = state.record;
    return answer(200, state, {
      // "The Server MUST prevent the client and/or proxies from caching the response by adding Cache-Control: no-store."
      'cache-control': 'no-store',
      // "As long as the length of the upload is not known, the Server MUST set Upload-Defer-Length: 1 in all responses to HEAD."
      ...(length === null ? { 'upload-defer-length': '1' } : { 'upload-length': String(length) }),
      ...(metadata === '' ? {} : { 'upload-metadata': metadata }),
      ...(concatenation === null ? {} : { 'upload-concat': concatenation }),
    });
  };

  const terminate = async (request: Request, ownerId: string, id: string): Promise<Response> => {
    refuseOtherVersions(request);
    await withoutIdleCut(request, () => service.terminate(ownerId, id));
    return new Response(null, { status: 204 });
  };

  /** "The actual method of the request MUST be ignored": for clients that cannot send PATCH or DELETE. */
  const overridden = (request: Request, ownerId: string, id: string): Promise<Response> => {
    const method = request.headers.get('x-http-method-override')?.toUpperCase();
    if (method === 'PATCH') return append(request, ownerId, id);
    if (method === 'HEAD') return describe(request, ownerId, id);
    if (method === 'DELETE') return terminate(request, ownerId, id);
    throw requestProblems.create('method-not-allowed', { headers: { allow: 'HEAD, PATCH, DELETE, OPTIONS' } });
  };

  return new Elysia({ name: 'resumable uploads', prefix: TUS_PATH })
    .use(guard)
    .post('/', ({ request, caller }) => create(request, caller.id), {
      signedIn: true,
      parse: 'none',
      wire,
      detail: {
        tags,
        operationId: 'createUpload',
        summary: 'Begin a resumable upload',
        description:
          'tus 1.0.0 with creation, creation-with-upload, creation-defer-length, checksum, expiration, termination and ' +
          'concatenation. Use a tus client. The finished upload is a file; its id comes in `Upload-File-Id`.',
        parameters: [
          header('Tus-Resumable', '`1.0.0`', true),
          header('Upload-Length', 'Bytes in all.'),
          header('Upload-Defer-Length', '`1`: the length comes later.'),
          header('Upload-Metadata', 'Pairs of key and Base64: `filename`, `visibility`.'),
          header('Upload-Concat', '`partial`, or `final;` and the URLs of partial uploads.'),
          header('Upload-Checksum', 'Algorithm and Base64 of the bytes that come along.'),
        ],
        requestBody: { ...rawBody('The first bytes, if any.', CONTENT_TYPE), required: false },
        responses: { 201: { description: 'It is begun; `Location` is its address.' } },
      },
    })
    .get('/:id', ({ request, caller, params: { id } }) => describe(request, caller.id, id), {
      signedIn: true,
      wire,
      params: UploadId,
      detail: {
        tags,
        operationId: 'getUpload',
        summary: 'Ask how far a resumable upload is',
        description: 'Meant for HEAD. All that is known comes in headers: `Upload-Offset`, `Upload-Length` and more.',
        parameters: [header('Tus-Resumable', '`1.0.0`', true)],
        responses: { 200: { description: 'The headers tell.' } },
      },
    })
    .patch('/:id', ({ request, caller, params: { id } }) => append(request, caller.id, id), {
      signedIn: true,
      parse: 'none',
      wire,
      params: UploadId,
      detail: {
        tags,
        operationId: 'appendToUpload',
        summary: 'Add bytes to a resumable upload',
        parameters: [
          header('Tus-Resumable', '`1.0.0`', true),
          header('Upload-Offset', 'Where the bytes belong: the end of what is there.', true),
          header('Upload-Length', 'Bytes in all, when it was to come later.'),
          header('Upload-Checksum', 'Algorithm and Base64 of these bytes.'),
        ],
        requestBody: rawBody('The bytes.', CONTENT_TYPE),
        responses: { 204: { description: '`Upload-Offset` is where to go on.' } },
      },
    })
    .delete('/:id', ({ request, caller, params: { id } }) => terminate(request, caller.id, id), {
      signedIn: true,
      wire,
      params: UploadId,
      detail: {
        tags,
        operationId: 'terminateUpload',
        summary: 'Give a resumable upload up',
        description: 'A file that it became stays.',
        parameters: [header('Tus-Resumable', '`1.0.0`', true)],
        responses: { 204: { description: 'It is gone.' } },
      },
    })
    .post('/:id', ({ request, caller, params: { id } }) => overridden(request, caller.id, id), {
      signedIn: true,
      parse: 'none',
      wire,
      params: UploadId,
      detail: {
        tags,
        operationId: 'overrideUploadMethod',
        summary: 'Do what X-HTTP-Method-Override says',
        description: 'For clients that cannot send PATCH or DELETE.',
        parameters: [
          header('Tus-Resumable', '`1.0.0`', true),
          header('X-HTTP-Method-Override', '`PATCH`, `HEAD` or `DELETE`.', true),
        ],
        requestBody: { ...rawBody('As the other method has it.', CONTENT_TYPE), required: false },
        responses: { 204: { description: 'As the other method answers.' } },
      },
    });
}

function header(name: string, description: string, required = false) {
  return { name, in: 'header' as const, required, description, schema: { type: 'string' as const } };
}

/** "If the version specified by the Client is not supported, the Server MUST respond with 412 and MUST include Tus-Version." */
function refuseOtherVersions(request: Request): void {
  if (request.headers.get('tus-resumable') === TUS_VERSION) return;
  throw uploadProblems.create('unsupported-version', { headers: { 'tus-version': TUS_VERSION } });
}

function hasBody({ headers }: Request): boolean {
  return headers.has('transfer-encoding') || Number(headers.get('content-length') ?? 0) > 0;
}

function answer(status: number, state: UploadState, headers: Record<string, string> = {}): Response {
  const { record, offset, isCut } = state;
  return new Response(null, {
    status,
    headers: {
      ...headers,
      ...(offset === null ? {} : { 'upload-offset': String(offset) }),
      // "This header MUST be included in every PATCH response if the upload is going to expire."
      ...(record.fileId === null
        ? { 'upload-expires': new Date(record.expiresAt).toUTCString() }
        : { 'upload-file-id': record.fileId }),
      ...(isCut ? { connection: 'close' } : {}),
    },
  });
}
