import { ValueFault } from './values.ts';

/** Requests below a path prefix, and the equal servers that answer them. */
export interface ProxyRoute {
  /** Starts with a slash and ends without one; empty for the whole site. */
  readonly prefix: string;
  /** `http://host:port` */
  readonly origins: readonly [string, ...string[]];
}

/** How the HTTP cache treats paths below a prefix. */
export interface CacheRule {
  readonly prefix: string;
  readonly mode: 'off' | 'respect' | 'force';
  /** Of `force`. */
  readonly ttlSeconds?: number;
}

const PREFIX = /^\/(?:[A-Za-z0-9_.~!$&'()*+;:@%-]+(?:\/[A-Za-z0-9_.~!$&'()*+;:@%-]+)*\/?)?$/;

/** `PREFIX=ORIGIN`; the same prefix may come several times, its origins then share the work. */
export function readProxyRoute(text: string): ProxyRoute {
  const at = text.indexOf('=');
  const prefix = readPrefix(at === -1 ? '' : text.slice(0, at));
  const origin = URL.parse(text.slice(at + 1));
  if (prefix === null || !origin || !/^https?:$/.test(origin.protocol)) {
    throw new ValueFault('must be a comma list of PREFIX=ORIGIN such as /shop=http://127.0.0.1:8080');
  }
  if (origin.pathname !== '/' || origin.search || origin.hash || origin.username || origin.password) {
    throw new ValueFault('must name origins without a path, a query and credentials: the path is passed on unchanged');
  }
  if (/^\/api(?:\/|$)/.test(prefix))
    throw new ValueFault('must not name a prefix below /api, which is this server’s own');
  return { prefix, origins: [origin.origin] };
}

/** One route for each prefix, with all its origins. */
export function joinProxyRoutes(routes: readonly ProxyRoute[]): ProxyRoute[] {
  const byPrefix = new Map<string, ProxyRoute>();
  for (const { prefix, origins } of routes) {
    const known = byPrefix.get(prefix);
    byPrefix.set(prefix, { prefix, origins: known ? [...known.origins, ...origins] : origins });
  }
  return [...byPrefix.values()];
}

/** `PREFIX=MODE` with `off`, `respect` or `force(SECONDS)`. */
export function readCacheRule(text: string): CacheRule {
  const [, path = '', mode = '', seconds] = /^([^=]*)=\s*(off|respect|force)(?:\((\d{1,9})\))?$/.exec(text) ?? [];
  const prefix = readPrefix(path.trim());
  if (prefix === null || (mode === 'force') !== (seconds !== undefined)) {
    throw new ValueFault('must be a comma list of PREFIX=off, PREFIX=respect or PREFIX=force(SECONDS)');
  }
  return mode === 'force' ? { prefix, mode, ttlSeconds: Number(seconds) } : { prefix, mode: mode as 'off' | 'respect' };
}

/** Without its slash at the end; `null` when it is no path. */
function readPrefix(text: string): string | null {
  return PREFIX.test(text) ? text.replace(/\/$/, '') : null;
}
