import { Elysia } from 'elysia';
import { type Allowance, createAllowance } from '../../kernel/allowance.ts';
import { AppError } from '../../kernel/errors.ts';
import { requestProblems, serverProblems } from '../../kernel/problems.ts';
import { contextOf } from '../../web/context.ts';
import { guard } from '../../web/guard.ts';
import { jsonResponse, multipartBody, problemResponse, rawBody } from '../../web/schemas.ts';
import { LANGUAGES, type Language } from './job.ts';
import { mediaType } from './media-type.ts';
import { describeAnswer, describeBody } from './openapi.ts';
import { parseProblems } from './problems.ts';
import type { ParseAnswer, ParseService } from './service.ts';

const SUMMARIES: Readonly<Record<Language, string>> = {
  html: 'Look at a page',
  css: 'Look at a stylesheet',
  js: 'Look at JavaScript or TypeScript',
};
const SOURCE_TYPES: Readonly<Record<Language, string>> = { html: 'text/html', css: 'text/css', js: 'text/javascript' };
/** So many bodies of the largest size may be in memory at once, or more smaller ones. */
const BODIES_AT_ONCE = 4;
/** What a form, or JSON, may be larger than the source in it. */
const WRAPPING_BYTES = 64 * 1024;

/** The parsers, for those who are signed in. */
export function parseRoutes(service: ParseService, maxBytes: number) {
  const room = createAllowance(BODIES_AT_ONCE * largestBody(maxBytes));
  const app = new Elysia({ name: 'parse', prefix: '/api/parse' }).use(guard);
  for (const language of LANGUAGES) {
    app.post(
      `/${language}`,
      async ({ request, query, caller }) => {
        const contentType = request.headers.get('content-type');
        const share = takeShare(request, maxBytes, room);
        try {
          const body = { bytes: await readBytes(request, share), contentType, query: query as Record<string, string> };
          return toResponse(await service.readSent(language, body, caller), contextOf(request).startedAt);
        } finally {
          room.give(share);
        }
      },
      {
        signedIn: true,
        parse: 'none',
        detail: {
          tags: ['parse'],
          operationId: `parse${language[0]?.toUpperCase()}${language.slice(1)}`,
          summary: SUMMARIES[language],
          description:
            'Takes JSON with the source, the id of a file or a URL; or the source itself as the body, with the view and its ' +
            'options in the query; or a form with a file. The same question about the same source is answered from the cache.',
          requestBody: {
            required: true,
            content: {
              'application/json': { schema: describeBody(language) },
              ...rawBody('The source.', SOURCE_TYPES[language]).content,
              ...multipartBody({ file: { type: 'string', format: 'binary' } }, []).content,
            },
          },
          responses: {
            200: jsonResponse('What the view shows.', describeAnswer(language)),
            404: problemResponse('There is no such file, or none that the caller may read.'),
            413: problemResponse('The source is too large.'),
            422: problemResponse('The source, or the request, is not one that can be read.'),
            503: problemResponse('Too many sources wait.'),
          },
        },
      },
    );
  }
  return app;
}

/** Escapes make JSON longer than what it says. */
function largestBody(maxSourceBytes: number): number {
  return 2 * maxSourceBytes + WRAPPING_BYTES;
}

/**
 * Room for the body, as long as it is in memory: what is declared, else all that it may have.
 * @returns bytes. @throws `parse/too-large`, `server/busy` when too many bodies are here already.
 */
function takeShare(request: Request, maxSourceBytes: number, room: Allowance): number {
  const isWrapped = /^(application\/json|multipart\/form-data)$/.test(mediaType(request.headers.get('content-type')));
  const maxBytes = isWrapped ? largestBody(maxSourceBytes) : maxSourceBytes;
  const declared = request.headers.get('content-length');
  if (declared !== null && Number(declared) > maxBytes) throw tooLarge();
  const share = declared === null ? maxBytes : Number(declared);
  if (!room.take(share)) {
    throw serverProblems.create('busy', { retryAfterSeconds: 1, headers: { connection: 'close' } });
  }
  return share;
}

/** The whole body, no further than its share. */
async function readBytes(request: Request, share: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of (request.body ?? []) as unknown as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength;
      if (size > share) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof AppError ? error : requestProblems.create('malformed', { cause: error });
  }
  if (size === 0) throw parseProblems.create('no-source');
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
}

/** The rest of the body stays unread, so the connection cannot carry another request. */
function tooLarge(): AppError {
  return parseProblems.create('too-large', { headers: { connection: 'close' } });
}

function toResponse({ view, members, isCached }: ParseAnswer, startedAt: number): Response {
  const ms = Math.round((performance.now() - startedAt) * 100) / 100;
  const parts = [`{"view":${JSON.stringify(view)},`, members as BlobPart, `,"timing":{"ms":${ms}}}`];
  return new Response(new Blob(parts), {
    headers: {
      'content-type': 'application/json',
      'cache-control': 'private, no-store',
      // RFC 9211 §2
      'cache-status': isCached ? 'bunkhouse; hit' : 'bunkhouse; fwd=uri-miss; stored',
    },
  });
}
