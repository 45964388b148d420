import { parseRange } from '../../web/byte-ranges.ts';
import { contentProblems } from '../../web/file-response.ts';
import { parseHttpDate } from '../../web/http-date.ts';
import { multipartRanges } from '../../web/multipart-ranges.ts';
import { ageOf, type HttpEntry } from './http-entry.ts';
import { type Handling, toCacheStatus } from './http-status.ts';

const NOT_MODIFIED_FIELDS = ['cache-control', 'content-location', 'date', 'etag', 'expires', 'last-modified', 'vary'];

/** An answer from the store: conditions and ranges of the request applied to it (RFC 9111 §4.3.2), its age told (§5.1). */
export function answerFrom(entry: HttpEntry, request: Request, now: number, handling: Handling): Response {
  const { meta, body } = entry;
  const { status } = meta;
  const headers = renderHeaders(entry, now, handling);
  const { method, headers: asked } = request;
  if (status === 200) {
    if (
      isConditional(asked) &&
      isNotModified({ get: (name) => meta.headers[name] ?? null }, meta.ownEtag, asked, meta.receivedAt)
    ) {
      const kept: Record<string, string> = {};
      for (const name of [...NOT_MODIFIED_FIELDS, 'age', 'cache-status']) {
        const value = headers[name];
        if (value !== undefined) kept[name] = value;
      }
      return new Response(null, { status: 304, headers: kept });
    }
    const range = method === 'GET' ? asked.get('range') : null;
    if (range !== null && isRangeCurrent(entry, asked)) {
      const partial = answerRange(entry, range, headers);
      if (partial) return partial;
    }
  }
  if (hasNoContent(status)) return new Response(null, { status, headers });
  headers['content-length'] = String(body.byteLength);
  return new Response(method === 'HEAD' ? null : (body as Uint8Array<ArrayBuffer>), { status, headers });
}

/** Statuses whose answers end with their header (RFC 9110 §6.4.1). */
export function hasNoContent(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}

/**
 * Whether the client has it already: `If-None-Match`, else `If-Modified-Since` (RFC 9110 §13.2.2). Without `Last-Modified` the `Date`
 * counts, else the time at which the answer came (RFC 9111 §4.3.2).
 */
export function isNotModified(
  answer: { get(name: string): string | null },
  ownEtag: string | null,
  asked: Headers,
  receivedAt: number,
): boolean {
  const ifNoneMatch = asked.get('if-none-match');
  if (ifNoneMatch !== null) {
    if (ifNoneMatch.trim() === '*') return true;
    const opaque = (answer.get('etag') ?? ownEtag)?.replace(/^W\//, '');
    if (opaque === undefined) return false;
    for (const [, listed] of ifNoneMatch.matchAll(/(?:W\/)?("[^"]*")/g)) if (listed === opaque) return true;
    return false;
  }
  const ifModifiedSince = asked.get('if-modified-since');
  const since = ifModifiedSince === null ? null : parseHttpDate(ifModifiedSince.trim());
  if (since === null) return false;
  const changedAt = parseHttpDate(answer.get('last-modified') ?? answer.get('date') ?? '') ?? receivedAt;
  return Math.floor(changedAt / 1000) <= Math.floor(since / 1000);
}

/** `If-Range` takes a strong tag or the very date (RFC 9110 §13.1.5). */
function isRangeCurrent({ meta }: HttpEntry, asked: Headers): boolean {
  const ifRange = asked.get('if-range')?.trim();
  if (ifRange === undefined) return true;
  return !ifRange.startsWith('W/') && (ifRange === meta.headers['etag'] || ifRange === meta.headers['last-modified']);
}

function isConditional(asked: Headers): boolean {
  return asked.has('if-none-match') || asked.has('if-modified-since');
}

function answerRange({ body, meta }: HttpEntry, range: string, headers: Record<string, string>): Response | null {
  const size = body.byteLength;
  const wanted = parseRange(range, size);
  if (wanted.kind === 'whole') return null;
  if (wanted.kind === 'unsatisfiable') {
    throw contentProblems.create('range-not-satisfiable', { headers: { 'content-range': `bytes */${size}` } });
  }
  const [first, ...others] = wanted.ranges;
  const slice = (range: { first: number; last: number }) =>
    body.subarray(range.first, range.last + 1) as Uint8Array<ArrayBuffer>;
  if (others.length === 0) {
    headers['content-range'] = `bytes ${first.first}-${first.last}/${size}`;
    headers['content-length'] = String(first.last - first.first + 1);
    return new Response(slice(first), { status: 206, headers });
  }
  const type = meta.headers['content-type'] ?? 'application/octet-stream';
  const parts = multipartRanges(
    { size, type, open: async (part) => new Blob(part ? [slice(part)] : []) },
    wanted.ranges,
  );
  headers['content-type'] = parts.contentType;
  headers['content-length'] = String(parts.byteLength);
  return new Response(parts.body, { status: 206, headers });
}

/** An answer's fields as they are told now; without what a script says to the cache, which stays for when it is renewed. */
export function renderHeaders({ meta }: HttpEntry, now: number, handling: Handling): Record<string, string> {
  const { ownEtag } = meta;
  const { 'x-accel-expires': _forTheCache, ...headers } = meta.headers;
  const status = toCacheStatus(handling);
  const before = headers['cache-status'];
  return {
    ...headers,
    ...(ownEtag === null ? {} : { etag: ownEtag }),
    age: String(Math.floor(ageOf(meta, now))),
    'cache-status': before === undefined ? status : `${before}, ${status}`,
  };
}
