import type { AnyElysia } from 'elysia';
import type { Caller } from '../kernel/caller.ts';
import type { AppError } from '../kernel/errors.ts';
import { createRequestIds } from '../kernel/ids.ts';
import { accessProblems, requestProblems } from '../kernel/problems.ts';
import type { RateLimiter, RatePolicy, RateVerdict } from '../ports/rate-limiter.ts';
import { limitBody } from './body-limit.ts';
import { addressKey, type ClientEnd } from './client-address.ts';
import { bindContext, type Connection, type RequestContext } from './context.ts';
import type { Cors } from './cors.ts';
import type { Fallback } from './module.ts';
import { isUnexpected, toProblemResponse } from './problems.ts';
import { rateLimitText, ratePolicyText } from './rate-headers.ts';
import { createRouteTable, type RouteEntry } from './route-table.ts';
import { setSecurityHeaders, setTransportSecurity } from './security-headers.ts';

/** Who is asking, or why what was presented is not believed. Both are null when nothing was presented. */
export interface Identity {
  readonly caller: Caller | null;
  readonly fault: AppError | null;
}

export interface GateOptions {
  /** All modules' routes. */
  readonly app: AnyElysia;
  readonly fallbacks: readonly Fallback[];
  readonly identify: (request: Request) => Identity | Promise<Identity>;
  /** The caller when nothing has to be checked to know it: its credential was, and nothing has changed since. Else null. */
  readonly recall?: (request: Request) => Caller | null;
  readonly clientEnd: (headers: Headers, connection: Connection) => ClientEnd;
  readonly limiter: RateLimiter;
  /** `null` turns a policy off. */
  readonly policies: { readonly default: RatePolicy | null; readonly auth: RatePolicy | null };
  readonly cors: Cors;
  readonly bodyMaxBytes: number;
  /** Sends HSTS on secure answers. */
  readonly isProduction: boolean;
  /** Hears of every answer, for the access log and the metrics. MUST NOT throw. */
  readonly onAnswer: (context: RequestContext, status: number, durationMs: number) => void;
  /** Hears of errors that are bugs. MUST NOT throw. */
  readonly onUnexpected: (error: unknown, context: RequestContext) => void;
  /** Answers PURGE, which every URL has and no route: decides who may, and does it. Without it there is no such method. */
  readonly purge?: (request: Request, context: RequestContext) => Promise<Response>;
  /** True while shutting down: connections are then closed after their answer. */
  readonly isDraining: () => boolean;
}

export type Gate = (request: Request, connection: Connection) => Response | Promise<Response>;

/**
 * The way in. In this order on every route: request id → limiter by address → who is it, may they → limiter by caller → body
 * limits → the route's parser, validation and handler. Nothing of the body is read before the caller's right is known.
 *
 * What need not wait does not: a request whose caller is known from memory is counted against that caller alone, and answered
 * without a promise in between.
 */
export function createGate(options: GateOptions): Gate {
  const { app, fallbacks, identify, recall, clientEnd, limiter, policies, cors } = options;
  const routes = createRouteTable(app);
  const dispatch = app.fetch;

  return (request, connection) => {
    const end = clientEnd(request.headers, connection);
    const context: RequestContext = {
      id: requestIdOf(request.headers.get('x-request-id')),
      address: end.address,
      isSecure: end.isSecure,
      method: request.method,
      path: pathOf(request.url),
      startedAt: performance.now(),
      route: 'none',
      isForeign: false,
      caller: null,
      credentialFault: null,
      rate: null,
      wire: null,
      readyAnswer: null,
    };
    bindContext(request, context, connection);
    try {
      const response = answer(request, context, connection);
      return response instanceof Promise ? finishLater(response, request, context) : finish(response, request, context);
    } catch (error) {
      return finish(fail(error, context), request, context);
    }
  };

  async function finishLater(
    answered: Promise<Response>,
    request: Request,
    context: RequestContext,
  ): Promise<Response> {
    let response: Response;
    try {
      response = await answered;
    } catch (error) {
      response = fail(error, context);
    }
    return finish(response, request, context);
  }

  function fail(error: unknown, context: RequestContext): Response {
    if (isUnexpected(error)) options.onUnexpected(error, context);
    return toProblemResponse(error, { requestId: context.id, path: context.path });
  }

  function finish(response: Response, request: Request, context: RequestContext): Response {
    decorate(response, request, context);
    options.onAnswer(context, response.status, performance.now() - context.startedAt);
    return response;
  }

  function answer(request: Request, context: RequestContext, connection: Connection): Response | Promise<Response> {
    const { method, path } = context;
    const byAddress = addressKey(context.address);
    const isOptions = method === 'OPTIONS' && !isClaimed(path);
    const isHeadOfGet = method === 'HEAD' && routes.find('HEAD', path) === null;
    const route = isOptions ? null : routes.find(isHeadOfGet ? 'GET' : method, path);
    const known = route && recall ? recall(request) : null;
    if (!known) take(context, policies.default, byAddress);
    if (isOptions) return answerOptions(request, context);
    if (method === 'PURGE' && options.purge) return answerPurge(options.purge, request, context);
    if (!route) return answerElsewhere(request, context);
    context.route = route.pattern;
    context.wire = route.wire?.always ?? null;
    if (route.limit === 'auth') take(context, policies.auth, byAddress);
    if (known) {
      if (route.limit !== 'auth') take(context, policies.default, known.id);
      authorize(route, { caller: known, fault: null }, request, context);
      return pass(route, isHeadOfGet, request, context, connection);
    }

    return soon(identify(request), (identity) => {
      authorize(route, identity, request, context);
      if (identity.caller) {
        if (policies.default) limiter.giveBack(policies.default, byAddress);
        take(context, route.limit === 'auth' ? null : policies.default, identity.caller.id);
      }
      return pass(route, isHeadOfGet, request, context, connection);
    });
  }

  /** Hands the request to its route. */
  function pass(
    route: RouteEntry,
    isHeadOfGet: boolean,
    request: Request,
    context: RequestContext,
    connection: Connection,
  ): Response | Promise<Response> {
    const limited = limitBody(request, route, options.bodyMaxBytes);
    if (limited === request && !isHeadOfGet) return dispatch(request);
    return soon(limited, (bounded) => {
      const inner = isHeadOfGet ? toGet(bounded) : bounded;
      bindContext(inner, context, connection);
      const response = dispatch(inner);
      return isHeadOfGet ? withoutBody(response) : response;
    });
  }

  function authorize(route: RouteEntry, { caller, fault }: Identity, request: Request, context: RequestContext): void {
    context.caller = caller;
    context.credentialFault = fault;
    refuseCrossSite(caller, request, context);
    if (route.access === 'anyone') return;
    if (!caller) throw fault ?? accessProblems.create('required');
    if (route.access === 'signedIn' && caller.kind !== 'user') throw accessProblems.create('user-required');
    if (!mayCall(caller, route.access)) throw accessProblems.create('forbidden');
  }

  function refuseCrossSite(caller: Caller | null, request: Request, { method }: RequestContext): void {
    if (caller?.kind === 'user' && caller.via === 'cookie' && !isSafe(method) && !isOwnPage(request, cors)) {
      throw accessProblems.create('cross-site');
    }
  }

  function answerPurge(
    purge: NonNullable<GateOptions['purge']>,
    request: Request,
    context: RequestContext,
  ): Response | Promise<Response> {
    context.route = 'PURGE';
    return soon(identify(request), ({ caller, fault }) => {
      context.caller = caller;
      refuseCrossSite(caller, request, context);
      if (fault && !caller) throw fault;
      return purge(request, context);
    });
  }

  function take(context: RequestContext, policy: RatePolicy | null, key: string): void {
    if (!policy) return;
    const verdict = limiter.take(policy, key);
    context.rate = { policy, verdict };
    if (!verdict.allowed) throw rateLimited(verdict);
  }

  function answerOptions(request: Request, context: RequestContext): Response {
    context.route = 'OPTIONS';
    const methods = routes.methodsOf(context.path);
    const allow = methods.length > 0 ? methods : ['GET', 'HEAD', 'OPTIONS'];
    const isPreflight = request.headers.has('access-control-request-method');
    return new Response(null, {
      status: 204,
      headers: {
        allow: allow.join(', '),
        ...routes.optionsOf(context.path),
        ...(isPreflight ? cors.preflight(request, allow) : {}),
      },
    });
  }

  /** Whether a fallback answers OPTIONS, which is ours to answer everywhere else. */
  function isClaimed(path: string): boolean {
    return (
      !isOurs(path) && fallbacks.some((fallback) => fallback.claims?.(path)) && routes.methodsOf(path).length === 0
    );
  }

  /** No route of ours: somebody else's path, the wrong method, or nothing at all. */
  function answerElsewhere(request: Request, context: RequestContext): Response | Promise<Response> {
    const allow = routes.methodsOf(context.path);
    if (allow.length > 0) throw methodNotAllowed(allow);
    if (isOurs(context.path)) throw requestProblems.create('not-found');
    return askFallback(0, request, context);
  }

  /** Asks one after the other, and waits only for those that make it wait. */
  function askFallback(index: number, request: Request, context: RequestContext): Response | Promise<Response> {
    const fallback = fallbacks[index];
    if (!fallback) return refuse(context);
    const admitted = fallback.wantsCaller && fallback.claims?.(context.path) ? admit(request, context) : undefined;
    const handled = admitted ? admitted.then(() => fallback.handle(request)) : fallback.handle(request);
    return soon(handled, (response) => {
      if (!response) return askFallback(index + 1, request, context);
      context.route = fallback.route;
      context.isForeign = fallback.isForeign === true;
      if (context.method === 'HEAD') leaveLengthOpen(response);
      return response;
    });
  }

  /**
   * Finds out who asks where nobody needs to be known. `undefined` when that took no waiting. A cookie that a foreign page made the
   * browser send speaks for nobody when the request could change something.
   */
  function admit(request: Request, context: RequestContext): Promise<void> | undefined {
    const note = ({ caller }: Identity) => {
      const isForged =
        caller?.kind === 'user' && caller.via === 'cookie' && !isSafe(context.method) && !isOwnPage(request, cors);
      if (!caller || isForged) return;
      context.caller = caller;
      if (policies.default) limiter.giveBack(policies.default, addressKey(context.address));
      take(context, policies.default, caller.id);
    };
    const identity = identify(request);
    if (identity instanceof Promise) return identity.then(note);
    note(identity);
  }

  async function refuse(context: RequestContext): Promise<never> {
    for (const fallback of fallbacks) {
      if (await fallback.has?.(context.path)) throw methodNotAllowed(['GET', 'HEAD', 'OPTIONS']);
    }
    throw requestProblems.create('not-found');
  }

  function decorate(response: Response, request: Request, context: RequestContext): void {
    if (response !== context.readyAnswer) setGeneralHeaders(response.headers, context);
    if (context.wire) setAll(response.headers, context.wire);
    if (options.isProduction && context.isSecure) setTransportSecurity(response.headers);
    if (cors.isOn && !(context.isForeign && response.headers.has('access-control-allow-origin')))
      cors.decorate(request.headers.get('origin'), response.headers);
    if (options.isDraining()) response.headers.set('connection', 'close');
  }

  function setGeneralHeaders(headers: Headers, { id, rate, isForeign }: RequestContext): void {
    headers.set('x-request-id', id);
    if (rate) {
      headers.set('ratelimit-policy', ratePolicyText(rate.policy));
      headers.set('ratelimit', rateLimitText(rate.policy, rate.verdict));
    }
    if (!isForeign) setSecurityHeaders(headers);
  }
}

/** Letters, digits and `-_.:/+=`, at most 128: what common tracers send, and nothing that could forge a log line. */
function requestIdOf(sent: string | null): string {
  return sent !== null && /^[\w.:/+=-]{1,128}$/.test(sent) ? sent : nextRequestId();
}

const nextRequestId = createRequestIds();

/** Goes on at once when the value is there, else when it comes. */
function soon<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/**
 * The path as the router will see it. It is cut exactly where Elysia cuts it, so that whatever a URL looks like, the route whose
 * right is checked is the route that answers.
 */
function pathOf(url: string): string {
  const start = url.indexOf('/', 11);
  const end = url.indexOf('?', start + 1);
  return url.substring(start, end === -1 ? undefined : end);
}

/** Below it nobody else gets a path. */
function isOurs(path: string): boolean {
  return path.startsWith('/api/');
}

function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

/** Whether the browser says that the request comes from our own page or from an origin we trust with cookies. */
function isOwnPage(request: Request, cors: Cors): boolean {
  const origin = request.headers.get('origin');
  if (origin !== null && cors.trusts(origin)) return true;
  const site = request.headers.get('sec-fetch-site');
  if (site !== null) return site === 'same-origin';
  return origin !== null && URL.parse(origin)?.host === request.headers.get('host');
}

function setAll(headers: Headers, values: Readonly<Record<string, string>>): void {
  for (const name in values) headers.set(name, values[name] as string);
}

function rateLimited(verdict: RateVerdict): AppError {
  return requestProblems.create('rate-limited', { retryAfterSeconds: verdict.retryAfterSeconds });
}

function methodNotAllowed(allow: readonly string[]): AppError {
  return requestProblems.create('method-not-allowed', { headers: { allow: allow.join(', ') } });
}

/** A range counts for GET alone (RFC 9110 §14.2). */
function toGet(head: Request): Request {
  const headers = new Headers(head.headers);
  headers.delete('range');
  return new Request(head.url, { method: 'GET', headers, signal: head.signal });
}

/**
 * The runtime says of a HEAD without a length that the content has 0 bytes, which GET would not say (RFC 9110 §8.6). What has no
 * length comes in chunks (RFC 9112 §6.1).
 */
function leaveLengthOpen({ status, body, headers }: Response): void {
  const isLengthless = body === null && status !== 204 && status !== 304 && !headers.has('content-length');
  if (isLengthless) headers.set('transfer-encoding', 'chunked');
}

/** HEAD is GET without the content, its length kept (RFC 9110 §9.3.2). */
async function withoutBody(answered: Response | Promise<Response>): Promise<Response> {
  const response = await answered;
  if (response.body === null) return response;
  const headers = new Headers(response.headers);
  if (headers.has('content-length')) await response.body?.cancel();
  else headers.set('content-length', String((await response.arrayBuffer()).byteLength));
  return new Response(null, { status: response.status, headers });
}

/** Whether the role of somebody who is known suffices. */
function mayCall({ role }: Caller, access: RouteEntry['access']): boolean {
  if (access === 'publisher') return role !== 'user';
  return access === 'admin' ? role === 'admin' : role !== 'publisher';
}
