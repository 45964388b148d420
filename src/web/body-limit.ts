import { AppError } from '../kernel/errors.ts';
import { requestProblems } from '../kernel/problems.ts';
import { isNestedTooDeeply } from './json-depth.ts';
import type { RouteEntry } from './route-table.ts';

/**
 * Checks the body that a route's parser is about to read: its declared size, then its content type. JSON, and a body of undeclared
 * size, is read here, no further than the limit, and JSON that is nested beyond reason is refused.
 * @returns the request to hand on; the same one unless the body had to be read.
 */
export function limitBody(request: Request, route: RouteEntry, maxBytes: number): Request | Promise<Request> {
  if (route.isRawBody || request.method === 'GET' || request.method === 'HEAD') return request;
  const declared = request.headers.get('content-length');
  if (declared === null && !request.headers.has('transfer-encoding')) return request;
  if (declared !== null && Number(declared) > maxBytes) throw tooLarge();
  if (declared === '0') return request;
  if (route.consumes !== null) {
    const sent = request.headers.get('content-type') ?? '';
    if (sent.split(';', 1)[0]?.trim().toLowerCase() !== route.consumes) {
      throw requestProblems.create('unsupported-media-type', {
        detail: `This address takes a body of type ${route.consumes}.`,
      });
    }
    // Media types are the same in any case (RFC 9110 §8.3.1); the parser knows one.
    if (!sent.startsWith(route.consumes)) request.headers.set('content-type', route.consumes);
  }
  const isJson = route.consumes === 'application/json';
  return declared === null || isJson ? readBounded(request, maxBytes, isJson) : request;
}

async function readBounded(request: Request, maxBytes: number, isJson: boolean): Promise<Request> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  try {
    for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array<ArrayBuffer>>) {
      size += chunk.byteLength;
      if (size > maxBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    // The client went away or its chunks are broken: no fault of ours.
    throw error instanceof AppError ? error : requestProblems.create('malformed', { cause: error });
  }
  const body = Buffer.concat(chunks);
  if (isJson && isNestedTooDeeply(body)) {
    throw requestProblems.create('malformed-json', { detail: 'The body is nested too deeply.' });
  }
  const { url, method, headers, signal } = request;
  return new Request(url, { method, headers, signal, body });
}

/** The body stays unread, so the connection cannot carry another request. */
function tooLarge() {
  return requestProblems.create('too-large', { headers: { connection: 'close' } });
}
