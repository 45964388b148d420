import { randomToken } from '../kernel/ids.ts';
import type { Connection } from '../ports/connection.ts';
import type { SocketHandler, SocketRoutes } from '../ports/sockets.ts';
import { isUpgrade, socketEvents, upgrade } from './socket-upgrades.ts';

export interface BunServerOptions {
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string } | undefined;
  readonly isHostAllowed: (host: string | null) => boolean;
  readonly refuse: (reason: 'misdirected' | 'malformed', requestId: string, path: string) => Response;
  readonly handle: (request: Request, connection: Connection) => Response | Promise<Response>;
  /** An idle connection is closed after this. */
  readonly idleSeconds?: number;
  /** Who takes WebSockets; without it nobody does. */
  readonly sockets?: SocketRoutes | undefined;
  /** What everything but `/health/live` waits for; a wait may end in a refusal. Without it nothing waits. */
  readonly opening?: { readonly isOver: boolean; wait(request: Request): Promise<Response | null> };
}

export interface BunServer {
  /** Where it listens: `http://127.0.0.1:3000`. */
  readonly url: string;
  readonly port: number;
  /** Takes no new connection; resolves when every running request has its answer. */
  drain(): Promise<void>;
  /** Cuts what is left. */
  stop(): Promise<void>;
}

/** Bodies are limited route by route, in the gate and in the upload streams; the runtime's own limit only closes the socket. */
const MAX_BODY_BYTES = Number.MAX_SAFE_INTEGER;
/** An idle connection is closed after this. Slow uploads are exempt: their handlers watch for stalls themselves. */
const IDLE_SECONDS = 60;

/**
 * Owns `Bun.serve`. A request target that is none is refused first; the `Host` check stands before everything else but `/health/*`,
 * and `/health/live` is answered by the runtime itself: whether the process lives depends on nothing.
 */
export function startBunServer(options: BunServerOptions): BunServer {
  const { isHostAllowed, refuse, handle, tls, opening, idleSeconds = IDLE_SECONDS } = options;
  const live = new Response('{"status":"ok"}', {
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' },
  });

  const answer = (request: Request, server: Bun.Server<SocketHandler>): Response | Promise<Response> => {
    const host = request.headers.get('host');
    let admitted = request;
    if (hasFragment(request)) {
      return refuse('malformed', randomToken(12), URL.parse(request.url, 'http://localhost')?.pathname ?? '/');
    }
    // A `Host` that makes no URL leaves a bare path, which would be cut at the wrong place.
    if (!isHostAllowed(host) || request.url.startsWith('/')) {
      const url = URL.parse(request.url, 'http://localhost');
      if (!url?.pathname.startsWith('/health/')) return refuse('misdirected', randomToken(12), url?.pathname ?? '/');
      // Probes may come with any host; what comes behind sees one that cannot shift the path.
      admitted = new Request(`http://localhost${url.pathname}${url.search}`, request);
    }
    return handle(admitted, new BunConnection(request, server, tls !== undefined, idleSeconds));
  };
  /** The runtime's own router knows these paths, so other requests pay nothing for them. */
  const answerSocket = (sockets: SocketRoutes) => (request: Request, server: Bun.Server<SocketHandler>) => {
    const isOurs = isUpgrade(request) && isHostAllowed(request.headers.get('host')) && !request.url.startsWith('/');
    if (!isOurs || hasFragment(request)) return answer(request, server);
    return upgrade(sockets, request, new BunConnection(request, server, tls !== undefined, idleSeconds), server);
  };
  const whenOpen = (next: Answer): Answer => {
    if (!opening) return next;
    return (request, server) =>
      opening.isOver
        ? next(request, server)
        : opening.wait(request).then((refusal) => refusal ?? next(request, server));
  };
  const { sockets } = options;
  const socketPaths = sockets ? sockets.paths.map((path) => [path, whenOpen(answerSocket(sockets))] as const) : [];

  const server = Bun.serve<SocketHandler, string>({
    hostname: options.hostname,
    port: options.port,
    reusePort: false,
    idleTimeout: idleSeconds,
    maxRequestBodySize: MAX_BODY_BYTES,
    development: false,
    ...(tls ? { tls: { cert: Bun.file(tls.certificateFile), key: Bun.file(tls.keyFile) } } : {}),
    routes: { '/health/live': { GET: live, HEAD: live }, ...Object.fromEntries(socketPaths) },
    fetch: whenOpen(answer),
    websocket: socketEvents,
    error: () => new Response(null, { status: 500 }),
  });

  sockets?.attach({ publish: (group, frame) => void server.publish(group, frame) });

  return {
    url: server.url.href.replace(/\/$/, ''),
    port: server.port as number,
    drain: () => server.stop(false),
    stop: () => server.stop(true),
  };
}

/** Nothing when the request has become a socket. */
type Answer = (
  request: Request,
  server: Bun.Server<SocketHandler>,
) => Response | undefined | Promise<Response | undefined>;

/**
 * No request target may have a fragment (RFC 9112 §3.2), and the runtime hands it on as part of the path or the query: what is
 * behind us would read as one address what rules and keys read as another.
 */
function hasFragment({ url }: Request): boolean {
  return url.includes('#');
}

class BunConnection implements Connection {
  readonly peerAddress: string;
  readonly peerPort: number | undefined;
  readonly isSecure: boolean;
  readonly #request: Request;
  readonly #server: Bun.Server<SocketHandler>;
  readonly #idleSeconds: number;

  constructor(request: Request, server: Bun.Server<SocketHandler>, isSecure: boolean, idleSeconds: number) {
    this.#request = request;
    this.#server = server;
    this.#idleSeconds = idleSeconds;
    this.isSecure = isSecure;
    const peer = server.requestIP(request);
    this.peerAddress = normalizePeer(peer?.address);
    this.peerPort = peer?.port;
  }

  keepOpen(): void {
    this.#server.timeout(this.#request, 0);
  }

  cutWhenIdle(): void {
    this.#server.timeout(this.#request, this.#idleSeconds);
  }
}

/** IPv4 peers of a dual-stack socket appear as `::ffff:1.2.3.4`. */
function normalizePeer(address: string | undefined): string {
  return address?.startsWith('::ffff:') ? address.slice(7) : (address ?? '0.0.0.0');
}

export interface PlainServerOptions {
  readonly hostname: string;
  readonly port: number;
  readonly path: string;
  readonly render: () => string;
}

/** A private listener that serves one text, for a scraper in the same network. */
export function startPlainServer({ hostname, port, path, render }: PlainServerOptions): { stop(): Promise<void> } {
  const server = Bun.serve({
    hostname,
    port,
    development: false,
    fetch: ({ url }) =>
      new URL(url).pathname === path
        ? new Response(render(), { headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } })
        : new Response(null, { status: 404 }),
  });
  return { stop: () => server.stop(true) };
}
