import { Elysia, type Static, t } from 'elysia';
import { contextOf } from '../../web/context.ts';
import { guard } from '../../web/guard.ts';
import { binaryResponse, OPTIONAL_SIGN_IN, problemResponse } from '../../web/schemas.ts';
import { ImageQuery, toRecipe } from './image-query.ts';
import type { LinkRecord } from './link-store.ts';
import type { Links } from './links.ts';
import { uploadProblems } from './problems.ts';
import { createGetReadable } from './readable.ts';
import type { UploadService } from './service.ts';
import { redirectToFile, serveFile, servePicture } from './serving.ts';
import type { FileRecord } from './store.ts';

const tags = ['files'];
const FileId = t.Object({ id: t.String({ description: 'Id of the file.' }) });
const LinkQuery = t.Object({
  link: t.Optional(
    t.String({ maxLength: 64, description: 'Id of a link; with the two below it replaces signing in.' }),
  ),
  expires: t.Optional(t.String({ maxLength: 16 })),
  signature: t.Optional(t.String({ maxLength: 64 })),
});
const ContentQuery = t.Composite([
  t.Object({ download: t.Optional(t.Literal('1', { description: 'Offers the file for saving, whatever its type.' })) }),
  LinkQuery,
]);
const PictureQuery = t.Composite([ImageQuery, LinkQuery]);
const linkFailures = {
  403: problemResponse('The link was not signed by this server for this file.'),
  410: problemResponse('The link has expired, was revoked, or was for one use.'),
};

interface Allowed {
  readonly file: FileRecord;
  /** By which a stranger may read the file; null for those who may by themselves. */
  readonly link: LinkRecord | null;
}

export interface ContentOptions {
  readonly service: UploadService;
  readonly links: Links;
}

/** The bytes of files and the pictures made of them. */
export function contentRoutes({ service, links }: ContentOptions) {
  const getReadable = createGetReadable(service);

  const allow = async (request: Request, id: string, query: Static<typeof LinkQuery>): Promise<Allowed> => {
    const { link: linkId, expires = '', signature = '' } = query;
    if (linkId === undefined) return { file: await getReadable(request, id), link: null };
    const link = await links.check(id, { link: linkId, expires, signature });
    const file = await service.find(id);
    if (!file) throw uploadProblems.create('link-over');
    return { file, link };
  };

  const sendContent = async (request: Request, id: string, query: Static<typeof ContentQuery>): Promise<Response> => {
    const { file, link } = await allow(request, id, query);
    const isDownload = query.download === '1' || link?.disposition === 'attachment';
    const asked = asSent(request);
    if (link?.isOnce) {
      // What is empty is not opened, so its use is noted before.
      if (file.size === 0 && asked.method === 'GET') await links.once(link, async () => undefined);
      return serveFile(asked, file, { isDownload, isOnce: true }, () => links.once(link, () => service.open(file)));
    }
    const elsewhere = asked.method === 'GET' ? service.directDownloads : null;
    if (elsewhere) return redirectToFile(asked, file, isDownload, elsewhere);
    return serveFile(asked, file, { isDownload, isOnce: false }, (range) => service.open(file, range));
  };

  const sendPicture = async (request: Request, id: string, query: Static<typeof PictureQuery>): Promise<Response> => {
    const { file, link } = await allow(request, id, query);
    // It is for one look at the content, and has not been used for it.
    if (link?.isOnce) throw uploadProblems.create('invalid-link');
    const recipe = toRecipe(query, file.type, request.headers.get('accept'));
    const picture = await service.variants.get(file, recipe, contextOf(request).caller === null);
    return servePicture(asSent(request), file, picture, query.format === undefined, (range) =>
      service.variants.open(picture, range),
    );
  };

  return new Elysia({ name: 'uploads content', prefix: '/api/files' })
    .use(guard)
    .get('/:id/content', ({ request, params: { id }, query }) => sendContent(request, id, query), {
      anyone: true,
      params: FileId,
      query: ContentQuery,
      detail: {
        tags,
        operationId: 'downloadFile',
        security: OPTIONAL_SIGN_IN,
        summary: 'Download a file',
        description:
          'Understands HEAD, Range, If-Range and the preconditions of RFC 9110. Public files and signed links need no sign-in.',
        responses: {
          200: binaryResponse('The content.'),
          206: binaryResponse('The ranges that were asked for.'),
          302: { description: 'The content is at the store; the address is good for a few minutes.' },
          304: { description: 'The content is the one you have.' },
          ...linkFailures,
        },
      },
    })
    .get('/:id/image', ({ request, params: { id }, query }) => sendPicture(request, id, query), {
      anyone: true,
      params: FileId,
      query: PictureQuery,
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
          ...linkFailures,
        },
      },
    });
}

/** The request with the method that the client sent (the gate asks GET for HEAD), so that nothing is opened in vain. */
function asSent(request: Request): Request {
  const { method } = contextOf(request);
  return method === request.method ? request : new Request(request.url, { method, headers: request.headers });
}
