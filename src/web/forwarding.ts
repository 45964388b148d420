/** Fields that are about one connection (RFC 9110 §7.6.1). */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** Fields by which a client could pass itself off as a proxy that speaks of another address, host or path. */
const FORGEABLE =
  /^(?:x-forwarded(?:-.*)?|forwarded|x-original-(?:url|uri|host)|x-rewrite-url|x-host|x-http-(?:host|path)-override|x-real-ip|x-client-ip|client-ip|true-client-ip|cf-connecting-ip|fly-client-ip|fly-forwarded-.*|x-accel-.*|x-sendfile-type|x-url-scheme|front-end-https|proxy)$/;

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Removes, in place, the fields that are about one connection, those that `Connection` lists among them. */
export function dropHopByHop(headers: Headers): void {
  for (const item of headers.get('connection')?.split(',') ?? []) {
    const name = item.trim();
    if (TOKEN.test(name)) headers.delete(name);
  }
  for (const name of HOP_BY_HOP) headers.delete(name);
}

/** Whether a field is one that only a proxy may set; the name is in lower case. */
export function isForgeable(name: string): boolean {
  return FORGEABLE.test(name);
}

/** Removes, in place, what only a proxy may say. Who forwards the request sets the true ones anew. */
export function dropForged(headers: Headers): void {
  for (const name of [...headers.keys()]) if (isForgeable(name)) headers.delete(name);
}
