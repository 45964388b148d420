import type { ByteRange, ObjectBody } from '../../ports/object-store.ts';
import { contentDisposition } from '../../web/content-disposition.ts';
import { fileResponse } from '../../web/file-response.ts';
import type { FileRecord } from './store.ts';
import type { VariantRecord } from './variant-store.ts';

/** Types that a browser shows without running anything in them. SVG, HTML, XML and PDF are not among them. */
const INLINE_TYPES = new Set([
  'image/png',
  'image/apng',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/avif',
  'image/bmp',
  'text/plain',
]);

/**
 * Answers GET or HEAD for a user's file so that it cannot act as a page of this site: its type is the one we found and
 * is final (`nosniff`), it runs in a sandbox with nothing to load, and it is offered for saving unless its type is known
 * to be harmless.
 *
 * @param isDownload offers every type for saving.
 */
export function serveFile(
  request: Request,
  file: FileRecord,
  isDownload: boolean,
  open: (range?: ByteRange) => Promise<ObjectBody['body']>,
): Promise<Response> {
  return fileResponse(request, {
    size: file.size,
    type: file.type,
    // The content names itself; a replaced file has another hash.
    etag: `"${file.sha256}"`,
    lastModified: file.updatedAt,
    headers: {
      'content-disposition': contentDisposition(
        !isDownload && isInline(file.type) ? 'inline' : 'attachment',
        file.name,
      ),
      ...headersFor(file),
    },
    open,
  });
}

/**
 * Answers GET or HEAD for a picture that was made of a file, under the same rules.
 *
 * @param isNegotiated whether the `Accept` header chose the format.
 */
export function servePicture(
  request: Request,
  file: FileRecord,
  picture: VariantRecord,
  isNegotiated: boolean,
  open: (range?: ByteRange) => Promise<ObjectBody['body']>,
): Promise<Response> {
  const extension = picture.type.slice('image/'.length);
  return fileResponse(request, {
    size: picture.size,
    type: picture.type,
    // One that is made anew may differ, if only by another version of the encoder.
    etag: `"${picture.id}"`,
    lastModified: picture.createdAt,
    headers: {
      'content-disposition': contentDisposition('inline', `${file.name.replace(/\.[^./\\]{1,5}$/, '')}.${extension}`),
      ...headersFor(file),
      ...(isNegotiated ? { vary: 'Accept' } : {}),
    },
    open,
  });
}

function headersFor({ visibility }: FileRecord): Record<string, string> {
  return {
    // Content may be replaced and visibility withdrawn, so every use asks again; a 304 costs next to nothing.
    'cache-control': `${visibility === 'public' ? 'public' : 'private'}, no-cache`,
    'content-security-policy': "sandbox; default-src 'none'",
    'x-content-type-options': 'nosniff',
  };
}

function isInline(type: string): boolean {
  const essence = type.split(';', 1)[0] as string;
  return INLINE_TYPES.has(essence) || /^(?:audio|video)\//.test(essence);
}
