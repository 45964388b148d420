import { type SendUpstream, UpstreamFault } from '../ports/upstream.ts';

/** Codes of failures before a connection stood. */
const NOT_CONNECTED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'FailedToOpenSocket',
  'ConnectionRefused',
  'DNSException',
]);
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Upstreams by the runtime's own client, with connections kept for the next request. */
export const fetchUpstream: SendUpstream = async ({ url, method, headers, body, signal }) => {
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      headers,
      body,
      signal,
      redirect: 'manual',
      decompress: false,
      // A kept connection may be closed by the upstream in the moment it is used; such a request could not be repeated.
      keepalive: IDEMPOTENT.has(method),
      // The environment's proxies are for the way out, not for the servers beside us.
      proxy: '',
    });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const code = (error as { code?: unknown } | null)?.code;
    throw new UpstreamFault(typeof code === 'string' && NOT_CONNECTED.has(code) ? 'connect' : 'broken', error);
  }
  if (response.status < 200 || response.status > 599) {
    response.body?.cancel().catch(() => undefined);
    throw new UpstreamFault('answer', new Error(`status ${response.status}`));
  }
  return response;
};
