import type { DirectAccess } from '../../ports/direct-access.ts';
import type { ByteRange, ObjectBody } from '../../ports/object-store.ts';
import { contentDisposition } from '../../web/content-disposition.ts';
import { fileResponse } from '../../web/file-response.ts';
import { judgePreconditions, type Validators } from '../../web/preconditions.ts';
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

export interface ServeOptions {
  /** Offers every type for saving. */
  readonly isDownload: boolean;
  /** It is sent whole, and nobody may keep it. */
  readonly isOnce: boolean;
}

/** How long an address at the store is good: a download need only begin within it. */
const REDIRECT_SECONDS = 300;

/**
 * Answers GET or HEAD for a user's file so that it cannot act as a page of this site: its type is the one we found and
 * is final (`nosniff`), it runs in a sandbox with nothing to load, and it is offered for saving unless its type is known
 * to be harmless.
 */
export function serveFile(
  request: Request,
  file: FileRecord,
  { isDownload, isOnce }: ServeOptions,
  open: (range?: ByteRange) => Promise<ObjectBody['body']>,
): Promise<Response> {
  return fileResponse(request, {
    size: file.size,
    type: file.type,
    ...validatorsOf(file),
    isWhole: isOnce,
    headers: {
      'content-disposition': dispositionOf(file, isDownload),
      ...headersFor(file),
      ...(isOnce ? { 'cache-control': 'no-store' } : {}),
    },
    open,
  });
}

/**
 * Sends a GET for a user's file on to the store, unless its preconditions say that there is nothing to send. The address is
 * for this caller and good for a few minutes; nobody may keep it.
 */
export async function redirectToFile(
  request: Request,
  file: FileRecord,
  isDownload: boolean,
  store: Pick<DirectAccess, 'downloadUrl'>,
): Promise<Response> {
  const validators = validatorsOf(file);
  if (judgePreconditions(request.headers, validators) !== 'proceed') {
    return serveFile(request, file, { isDownload, isOnce: false }, () => Promise.reject(new Error('not to be opened')));
  }
  const location = await store.downloadUrl(file.objectKey, {
    expiresInSeconds: REDIRECT_SECONDS,
    type: file.type,
    disposition: dispositionOf(file, isDownload),
    cacheControl: 'private, no-cache',
  });
  return new Response(null, { status: 302, headers: { location, 'cache-control': 'no-store' } });
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

/** The content names itself; a replaced file has another hash. */
function validatorsOf(file: FileRecord): Validators {
  return { etag: `"${file.sha256}"`, lastModified: file.updatedAt };
}

function dispositionOf(file: FileRecord, isDownload: boolean): string {
  return contentDisposition(!isDownload && isInline(file.type) ? 'inline' : 'attachment', file.name);
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
