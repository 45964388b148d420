import type { AppError } from '../../kernel/errors.ts';
import type { Clock } from '../../ports/clock.ts';
import { type SendUpstream, UpstreamFault } from '../../ports/upstream.ts';
import { contextOf } from '../../web/context.ts';
import { dropForged, dropHopByHop } from '../../web/forwarding.ts';
import { withoutCookie } from '../../web/other-cookies.ts';
import { tellEnd } from '../../web/stream-end.ts';
import { proxyProblems } from './problems.ts';
import { createTargets, type ProxyRoute, type Target } from './targets.ts';

export interface ForwardOptions {
  readonly send: SendUpstream;
  readonly clock: Clock;
  /** Names this process in `Via`, so that a request that comes back is known. */
  readonly instance: string;
  /** A cookie of ours that is nobody else's business. */
  readonly ownCookie: string;
  /** How long an upstream may take to begin its answer, after the whole request is there. */
  readonly headMs: number;
  /** How long it may be silent within its answer. */
  readonly silenceMs: number;
}

/** What the upstream is told of the client, whatever the client says of itself. */
export interface ClientFacts {
  readonly address: string;
  readonly isSecure: boolean;
  /** As it stands in the cache key: another spelling of it would be an answer's content and not its key. */
  readonly host: string;
  readonly requestId: string;
}

/** May be sent to another server when one does not answer: nothing is done twice by it (RFC 9110 §9.2.2). */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/**
 * Sends requests of one route to its servers. `request` is what is sent, `asked` is the client's own, which knows who the client is.
 * Throws the problems of `proxy`.
 */
export function createForward(route: ProxyRoute, options: ForwardOptions) {
  const targets = createTargets(route.origins, options.clock);
  return async (request: Request, facts: ClientFacts): Promise<Response> => {
    const headers = toUpstreamHeaders(request.headers, facts, options);
    const canRepeat = REPEATABLE.has(request.method) && request.body === null;
    let fault: AppError = proxyProblems.create('unreachable');
    for (const target of targets.inOrder()) {
      try {
        return await sendTo(target, request, headers, options);
      } catch (error) {
        fault = toProblem(error, request.signal);
        const isGone = error instanceof UpstreamFault && error.kind !== 'answer';
        if (isGone) targets.markDown(target);
        if (!isGone || !canRepeat) throw fault;
      }
    }
    throw fault;
  };
}

async function sendTo(
  target: Target,
  request: Request,
  headers: Headers,
  { send, headMs, silenceMs }: ForwardOptions,
): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  // A lone question mark is part of what was asked for; the parser drops it.
  const query = search === '' && request.url.replace(/#.*$/s, '').endsWith('?') ? '?' : search;
  const late = createDeadline(headMs);
  const signal = AbortSignal.any([request.signal, late.signal]);
  target.active++;
  let response: Response;
  try {
    const body = request.body && watched(request.body, late.restart);
    response = await send({ url: target.origin + pathname + query, method: request.method, headers, body, signal });
  } catch (error) {
    target.active--;
    throw error;
  } finally {
    late.end();
  }
  return withOwnLocation(
    released(response, () => target.active--, silenceMs),
    target.origin,
  );
}

/** Aborts its signal when it is neither restarted nor ended in time. */
function createDeadline(ms: number) {
  const controller = new AbortController();
  const start = () => setTimeout(() => controller.abort(TOO_LATE), ms);
  let timer: ReturnType<typeof setTimeout> | null = start();
  const clear = () => {
    if (timer) clearTimeout(timer);
  };
  return {
    signal: controller.signal,
    restart() {
      if (!timer) return;
      clear();
      timer = start();
    },
    end() {
      clear();
      timer = null;
    },
  };
}

const TOO_LATE = Symbol('too late');

function toProblem(error: unknown, signal: AbortSignal): AppError {
  if (error === TOO_LATE) return proxyProblems.create('timeout');
  if (signal.aborted) return proxyProblems.create('unreachable', { detail: 'The client went away.' });
  if (error instanceof UpstreamFault && error.kind === 'answer')
    return proxyProblems.create('bad-answer', { cause: error });
  if (error instanceof UpstreamFault) return proxyProblems.create('unreachable', { cause: error });
  throw error;
}

/** The client's fields without those of its connection and what it may not say, and what we say of it. */
function toUpstreamHeaders(sent: Headers, facts: ClientFacts, { instance, ownCookie }: ForwardOptions): Headers {
  const headers = new Headers(sent);
  dropHopByHop(headers);
  dropForged(headers);
  for (const name of ['host', 'expect']) headers.delete(name);
  const passed = headers.get('via');
  headers.set('via', `${passed === null ? '' : `${passed}, `}1.1 ${pseudonym(instance)}`);
  headers.set('x-forwarded-for', facts.address);
  headers.set('x-forwarded-proto', facts.isSecure ? 'https' : 'http');
  headers.set('x-forwarded-host', facts.host);
  headers.set('x-request-id', facts.requestId);
  const cookie = headers.get('cookie');
  if (cookie !== null) {
    const others = withoutCookie(cookie, ownCookie);
    if (others === '') headers.delete('cookie');
    else headers.set('cookie', others);
  }
  return headers;
}

/** How this process signs in `Via` (RFC 9110 §7.6.3). */
function pseudonym(instance: string): string {
  return `bunkhouse-${instance}`;
}

/** Whether a request has come through this process before. In the cache it would wait for itself. */
export function isLooping(request: Request, instance: string): boolean {
  return request.headers.get('via')?.includes(pseudonym(instance)) === true;
}

export function factsOf(request: Request): ClientFacts {
  const { address, isSecure, id } = contextOf(request);
  return { address, isSecure, host: new URL(request.url).host, requestId: id };
}

/** Passes chunks on and tells of each, so that a slow upload is not taken for a slow upstream. */
function watched(body: ReadableStream<Uint8Array>, onChunk: () => void): ReadableStream<Uint8Array> {
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        onChunk();
        controller.enqueue(chunk);
      },
    }),
  );
}

/** Calls back once when the content has ended, however it ends; it ends, too, when nothing more comes. */
function released(response: Response, onEnd: () => void, silenceMs: number): Response {
  if (response.body === null) {
    onEnd();
    return response;
  }
  return new Response(tellEnd(response.body, onEnd, silenceMs), { status: response.status, headers: response.headers });
}

/** Links to the upstream itself lead back here: clients do not know it. */
function withOwnLocation(response: Response, origin: string): Response {
  for (const name of ['location', 'content-location']) {
    const value = response.headers.get(name);
    if (value?.startsWith(`${origin}/`)) response.headers.set(name, value.slice(origin.length));
  }
  return response;
}
