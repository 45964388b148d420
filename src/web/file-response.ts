import { defineProblems } from '../kernel/errors.ts';
import type { ByteRange } from '../ports/object-store.ts';
import { parseRange } from './byte-ranges.ts';
import { toHttpDate } from './http-date.ts';
import { multipartRanges } from './multipart-ranges.ts';
import { isRangeCurrent, judgePreconditions } from './preconditions.ts';

/** A file to be sent: what is known about it, and how to open its bytes. */
export interface Representation {
  /** Bytes. */
  readonly size: number;
  readonly type: string;
  /** Strong entity tag with its quotes (RFC 9110 §8.8.3). */
  readonly etag: string;
  /** Milliseconds since the epoch. */
  readonly lastModified: number;
  /** Ranges are ignored: it is sent in one answer or not at all. */
  readonly isWhole?: boolean;
  /** Further headers of the answer, by lower-case name: `content-disposition`, `cache-control`, … */
  readonly headers?: Readonly<Record<string, string>>;
  /** Opens the bytes, or an inclusive range of them; called once for each part that is sent, never for HEAD or 304. */
  open(range?: ByteRange): Promise<Blob | ReadableStream<Uint8Array>>;
}

/** Failures of conditional and range requests. */
export const contentProblems = defineProblems('content', {
  'precondition-failed': {
    status: 412,
    title: 'Precondition failed',
    detail: 'The content is not in the state that the request was made for.',
  },
  'range-not-satisfiable': {
    status: 416,
    title: 'Range not satisfiable',
    detail: 'The range lies outside the content. Content-Range says how many bytes there are.',
  },
});

/** What a 304 repeats of the answer it stands for (RFC 9110 §15.4.5). */
const NOT_MODIFIED_HEADERS = ['cache-control', 'content-location', 'expires', 'vary'];

/**
 * Answers GET or HEAD for a file: preconditions (RFC 9110 §13.2.2), one range or several (§14), If-Range (§13.1.5).
 * Throws `content/precondition-failed` and `content/range-not-satisfiable`.
 */
export async function fileResponse(request: Request, file: Representation): Promise<Response> {
  const verdict = judgePreconditions(request.headers, file);
  if (verdict === 'failed') throw contentProblems.create('precondition-failed');

  const headers: Record<string, string> = {
    // Bun would name the object's file here if nothing else is said.
    'content-disposition': 'inline',
    ...file.headers,
    etag: file.etag,
    'last-modified': toHttpDate(file.lastModified),
    'accept-ranges': file.isWhole ? 'none' : 'bytes',
  };
  if (verdict === 'not-modified') return new Response(null, { status: 304, headers: notModified(headers) });

  headers['content-type'] = file.type;
  headers['content-length'] = String(file.size);
  if (request.method === 'HEAD') return new Response(null, { headers });

  const rangeHeader = request.headers.get('range');
  // Only GET has ranges (§14.2).
  const isRanged =
    rangeHeader !== null && !file.isWhole && request.method === 'GET' && isRangeCurrent(request.headers, file);
  const wanted = isRanged ? parseRange(rangeHeader, file.size) : null;
  switch (wanted?.kind) {
    case 'unsatisfiable':
      throw contentProblems.create('range-not-satisfiable', { headers: { 'content-range': `bytes */${file.size}` } });
    case 'parts': {
      const [first, ...others] = wanted.ranges;
      if (others.length > 0) return sendParts(file, headers, wanted.ranges);
      headers['content-range'] = `bytes ${first.first}-${first.last}/${file.size}`;
      headers['content-length'] = String(first.last - first.first + 1);
      return new Response(await file.open(first), { status: 206, headers });
    }
    default: {
      if (file.size === 0) return new Response(null, { headers });
      const body = await file.open();
      // Bun answers a lone range by itself when the body is a Blob. Here the range was judged, and is to be ignored.
      const isPlain = rangeHeader === null || !(body instanceof Blob);
      return new Response(isPlain ? body : body.stream().pipeThrough(new TransformStream()), { headers });
    }
  }
}

function sendParts(file: Representation, headers: Record<string, string>, ranges: readonly ByteRange[]): Response {
  const { contentType, byteLength, body } = multipartRanges(file, ranges);
  const partial = { ...headers, 'content-type': contentType, 'content-length': String(byteLength) };
  return new Response(body, { status: 206, headers: partial });
}

function notModified(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of ['etag', 'last-modified', ...NOT_MODIFIED_HEADERS]) {
    const value = headers[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}
