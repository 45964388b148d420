import { dropHopByHop } from '../../web/forwarding.ts';
import { hasNoContent } from './http-answer.ts';
import { TAG_FIELDS } from './http-headers.ts';
import { type Handling, setCacheStatus } from './http-status.ts';

/** The origin's answer to the one who asked. */
export function relay(response: Response, request: Request, handling: Handling): Response {
  const { status } = response;
  if (request.method === 'HEAD' || hasNoContent(status)) {
    response.body?.cancel().catch(() => undefined);
    return new Response(null, { status, headers: relayedHeaders(response.headers, handling) });
  }
  // As it is: another one around its body would make a stream of bytes that are here already.
  toRelayed(response.headers, handling);
  return response;
}

/** Its fields, without those of the connection and the words to this cache. */
export function relayedHeaders(origin: Headers, handling: Handling): Headers {
  const headers = new Headers(origin);
  toRelayed(headers, handling);
  return headers;
}

/** Changes the headers in place. */
function toRelayed(headers: Headers, handling: Handling): void {
  dropHopByHop(headers);
  for (const name of TAG_FIELDS) headers.delete(name);
  setCacheStatus(headers, handling);
}

/** A 304 with what such an answer may say. */
export function notModified(headers: Headers): Response {
  for (const name of ['content-length', 'content-type', 'content-encoding']) headers.delete(name);
  return new Response(null, { status: 304, headers });
}
