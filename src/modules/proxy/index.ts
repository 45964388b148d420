import type { Clock } from '../../ports/clock.ts';
import type { FetchOrigin, HttpCache, HttpCacheRule, HttpOrigin } from '../../ports/http-cache.ts';
import type { SendUpstream } from '../../ports/upstream.ts';
import { contextOf } from '../../web/context.ts';
import { withoutIdleCut } from '../../web/idle-cut.ts';
import type { Module } from '../../web/module.ts';
import { type ClientFacts, createForward, factsOf, isLooping } from './forward.ts';
import { proxyProblems } from './problems.ts';
import { findRoute, type ProxyRoute } from './targets.ts';

export { proxyProblems } from './problems.ts';
export type { ProxyRoute } from './targets.ts';

export interface ProxyOptions {
  readonly routes: readonly ProxyRoute[];
  readonly send: SendUpstream;
  readonly cache: HttpCache;
  /** The rule of the settings for a path. */
  readonly ruleFor: (path: string, name: string) => HttpCacheRule;
  readonly clock: Clock;
  readonly instance: string;
  readonly ownCookie: string;
  readonly headMs?: number;
  readonly silenceMs?: number;
}

/** Below the runtime's own cut of idle connections, so that the client hears of it. */
const HEAD_MS = 50_000;
/** As that cut, which ends only answers that a client waits for. */
const SILENCE_MS = 60_000;

/** Passes requests below a prefix on to other servers, through the HTTP cache. */
export function createProxy(options: ProxyOptions): Module & { readonly origin: HttpOrigin } {
  const { cache, ruleFor, headMs = HEAD_MS, silenceMs = SILENCE_MS } = options;
  const routes = options.routes.map((route) => ({
    ...route,
    name: `proxy ${route.prefix || '/'}`,
    forward: createForward(route, { ...options, headMs, silenceMs }),
  }));
  const fetchFor =
    (asker: Request, forward: (request: Request, facts: ClientFacts) => Promise<Response>): FetchOrigin =>
    (request) =>
      forward(request, factsOf(asker));

  return {
    name: 'proxy',
    fallbacks:
      routes.length === 0
        ? []
        : [
            {
              route: 'proxy',
              isForeign: true,
              claims: (path) => findRoute(routes, path) !== null,
              handle(request) {
                const { path } = contextOf(request);
                const route = findRoute(routes, path);
                if (!route) return null;
                if (isLooping(request, options.instance)) throw proxyProblems.create('loop');
                if (request.headers.get('upgrade')?.toLowerCase() === 'websocket')
                  throw proxyProblems.create('no-websockets');
                const pass = () => cache.handle(request, ruleFor(path, route.name), fetchFor(request, route.forward));
                // A body may come slowly, and is watched by what forwards it.
                return request.body === null ? pass() : withoutIdleCut(request, pass);
              },
            },
          ],
    origin: {
      find(path) {
        const route = findRoute(routes, path);
        if (!route) return null;
        const rule = ruleFor(path, route.name);
        // Asked by ourselves, for ourselves.
        const fetchOrigin: FetchOrigin = (request) =>
          route.forward(request, {
            address: '127.0.0.1',
            isSecure: request.url.startsWith('https:'),
            host: new URL(request.url).host,
            requestId: options.instance,
          });
        return { rule, fetchOrigin };
      },
    },
  };
}
