import { MemoryTier } from '../../../src/kernel/memory-tier.ts';
import { createHttpCache, type HttpCacheLimits } from '../../../src/modules/cache/http-cache.ts';
import type { HttpMeta } from '../../../src/modules/cache/http-entry.ts';
import { createCacheStore } from '../../../src/modules/cache/store.ts';
import type { HttpCacheRule } from '../../../src/ports/http-cache.ts';
import { toHttpDate } from '../../../src/web/http-date.ts';
import { fakeClock } from '../../support/fakes.ts';
import { requestFor } from '../gateway/request.ts';

export const RESPECT: HttpCacheRule = { name: 'test', mode: 'respect' };

type Reply = Response | Error | Promise<Response>;

/** An HTTP cache in memory, with a clock that is turned by hand, before an origin that says what it is told. */
export function openHttpCache(limits: Partial<HttpCacheLimits> = {}, memoryBytes = 64 * 2 ** 20) {
  const clock = fakeClock();
  const store = createCacheStore({ clock, backend: null, memory: new MemoryTier(memoryBytes) });
  const faults: unknown[] = [];
  let ids = 0;
  const space = store.space<HttpMeta>('http');
  const cache = createHttpCache({
    space,
    clock,
    randomId: () => `id${ids++}`,
    onFault: (error) => faults.push(error),
    limits,
  });
  /** Requests that reached the origin. */
  const asked: Request[] = [];
  let reply: (request: Request) => Reply = () => new Response('default');

  const origin = async (request: Request): Promise<Response> => {
    asked.push(request);
    const answer = await reply(request);
    if (answer instanceof Error) throw answer;
    if (!answer.headers.has('date')) answer.headers.set('date', toHttpDate(clock.now()));
    return answer;
  };
  return {
    clock,
    store,
    space,
    cache,
    origin,
    asked,
    faults,
    /** What the origin answers from now on. */
    replies(answer: (request: Request) => Reply) {
      reply = answer;
    },
    /** Sends a request through the cache. */
    async send(path: string, init: RequestInit & { rule?: HttpCacheRule; host?: string } = {}) {
      const { rule = RESPECT, host, ...rest } = init;
      const request = requestFor(path, rest, host);
      return cache.handle(request, rule, origin);
    },
  };
}

export type HttpCacheUnderTest = ReturnType<typeof openHttpCache>;

/** An answer with a length, as most have. */
export function answer(body: string, headers: Record<string, string> = {}, status = 200): Response {
  return new Response(body, { status, headers: { 'content-length': String(Buffer.byteLength(body)), ...headers } });
}

/** Lets everything that need not wait for anything run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
