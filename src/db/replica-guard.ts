import type { RemoteAddress } from './remote-address.ts';
import { type Handshake, parseHandshake } from './replica-handshake.ts';

/**
 * A listener on this machine's loopback that stands between the replicating client and the primary. The client is native code
 * that waits for ever and replaces the file's contents by whatever a server sends; here each answer has a deadline, and a server
 * is looked at before any of its data passes. It also adds the token and the namespace, so that the client knows neither.
 */
export interface ReplicaGuard {
  readonly url: string;
  /** What the client has to show; another program of this machine cannot. */
  readonly authToken: string;
  /** Milliseconds of `performance.now()` when bytes last came from the primary or a call began. */
  readonly lastActivityAt: number;
  /** Judges the server again at its next handshake. */
  forget(): void;
  stop(): Promise<void>;
}

export interface ReplicaGuardOptions {
  readonly address: RemoteAddress;
  readonly authToken: string | null;
  /** How long the primary may take to begin an answer, and between two pieces of one, in milliseconds. */
  readonly deadlineMs: number;
  /**
   * Judges the server that answered, once for each log and each start of it, and before the client hears the answer.
   * Because frames are given out for that start only, what is judged is what the frames come from.
   * @throws when nothing of it may pass.
   */
  readonly admit: () => Promise<void>;
  /** Told of each handshake that was let through, before the client hears of it. */
  readonly onHandshake: (handshake: Handshake) => void;
}

/** The calls of libSQL's replication. The rest of the server is none of the client's business. */
const RPC = '/wal_log.ReplicationLog/';
const CALLS = new Set([`${RPC}Hello`, `${RPC}BatchLogEntries`, `${RPC}Snapshot`]);

export function startReplicaGuard(options: ReplicaGuardOptions): ReplicaGuard {
  const { address, deadlineMs, admit, onHandshake } = options;
  const authToken = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url');
  let lastActivityAt = performance.now();
  let admitted = '';

  const answerHello = async (response: Response): Promise<Response> => {
    const body = new Uint8Array(await response.arrayBuffer());
    const handshake = parseHandshake(body);
    if (handshake) {
      const instance = `${handshake.logId} ${handshake.session}`;
      if (instance !== admitted) {
        await admit();
        admitted = instance;
      }
      onHandshake(handshake);
    }
    return new Response(body, { status: response.status, headers: passedOn(response.headers) });
  };

  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    // A handshake goes on with what it is for, so the answer to a fault is the same whatever it was: try again later.
    error: () => new Response(null, { status: 503 }),
    async fetch(request) {
      lastActivityAt = performance.now();
      const { pathname } = new URL(request.url);
      // Asked for anything else, as the client does to learn of a newer protocol, the answer is that there is none.
      if (request.method !== 'POST' || !CALLS.has(pathname)) return new Response(null, { status: 404 });
      if (request.headers.get('x-authorization') !== `Bearer ${authToken}`) return new Response(null, { status: 401 });

      const watchdog = new AbortController();
      const timer = setTimeout(() => watchdog.abort(), deadlineMs);
      const alive = () => {
        lastActivityAt = performance.now();
        timer.refresh();
      };
      try {
        const response = await fetch(new URL(pathname.slice(1), address.url), {
          method: 'POST',
          headers: forPrimary(request.headers, address, options.authToken),
          body: await request.arrayBuffer(),
          signal: watchdog.signal,
          redirect: 'manual',
        });
        alive();
        if (pathname === `${RPC}Hello`) return await answerHello(response).finally(() => clearTimeout(timer));
        const body = response.body?.pipeThrough(watched(alive, () => clearTimeout(timer))) ?? null;
        return new Response(body, { status: response.status, headers: passedOn(response.headers) });
      } catch (error) {
        clearTimeout(timer);
        throw error;
      }
    },
  });

  return {
    url: `http://127.0.0.1:${server.port}`,
    authToken,
    get lastActivityAt() {
      return lastActivityAt;
    },
    forget() {
      admitted = '';
    },
    stop: () => server.stop(true),
  };
}

/** Passes bytes on and says when they come and when they end. */
function watched(onBytes: () => void, onEnd: () => void): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(chunk, controller) {
      onBytes();
      controller.enqueue(chunk);
    },
    flush: onEnd,
  });
}

function forPrimary(from: Headers, { url }: RemoteAddress, authToken: string | null): Headers {
  const headers = new Headers();
  for (const name of ['content-type', 'x-session-token', 'x-libsql-client-version']) {
    const value = from.get(name);
    if (value !== null) headers.set(name, value);
  }
  // The client took the namespace from the first label of this listener's name; the primary's is meant.
  const namespace = url.hostname.includes('.') ? (url.hostname.split('.')[0] as string) : 'default';
  headers.set('x-namespace-bin', Buffer.from(namespace).toString('base64').replaceAll('=', ''));
  if (authToken !== null) headers.set('x-authorization', `Bearer ${authToken}`);
  return headers;
}

function passedOn(from: Headers): Headers {
  const headers = new Headers();
  for (const name of ['content-type', 'grpc-status', 'grpc-message']) {
    const value = from.get(name);
    if (value !== null) headers.set(name, value);
  }
  return headers;
}
