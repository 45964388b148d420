import { type AnyElysia, Elysia, t } from 'elysia';
import { memoryRateLimiter } from '../../src/drivers/memory-rate-limiter.ts';
import type { Caller } from '../../src/kernel/caller.ts';
import { accessProblems } from '../../src/kernel/problems.ts';
import { createApp } from '../../src/web/app.ts';
import type { RequestContext } from '../../src/web/context.ts';
import { createCors } from '../../src/web/cors.ts';
import { createGate, type GateOptions } from '../../src/web/gate.ts';
import { guard } from '../../src/web/guard.ts';
import { createJsonAnswers } from '../../src/web/ready-headers.ts';
import { fakeClock } from '../support/fakes.ts';

/** Callers by the name they send as Bearer: `ann` (user), `root` (admin), `server`; anything else is not believed. */
export function callerOf(name: string, via: 'bearer' | 'cookie' = 'bearer'): Caller | null {
  if (name === 'server') return { kind: 'server', id: 'server', role: 'admin' };
  if (name !== 'ann' && name !== 'bob' && name !== 'root') return null;
  const role = name === 'root' ? 'admin' : 'user';
  const account = { id: name, email: `${name}@example.org`, name, role, emailVerified: false, createdAt: '' } as const;
  return { kind: 'user', id: name, role, account, sessionId: 's', via };
}

export interface Seen {
  /** Names of the routes whose handler ran. */
  readonly handled: string[];
  readonly answers: { readonly context: RequestContext; readonly status: number }[];
  readonly unexpected: unknown[];
  /** Whether the body had been read when the handler of the raw route ran. */
  readonly bodyUsed: boolean[];
}

/** A gate before a few routes of every kind, with a clock that is turned by hand. */
export function openGate(changes: Partial<GateOptions> = {}) {
  const clock = fakeClock();
  const seen: Seen = { handled: [], answers: [], unexpected: [], bodyUsed: [] };
  const done = (name: string) => {
    seen.handled.push(name);
    return { name };
  };
  const answerJson = createJsonAnswers();
  const routes: AnyElysia = new Elysia()
    .use(guard)
    .get('/open', () => done('open'), { anyone: true })
    .get('/ready', ({ request }) => answerJson(request, done('ready')), { anyone: true })
    .get('/page/:section/:name', () => done('page'), { anyone: true })
    .get('/own/:id', ({ caller, params: { id } }) => ({ ...done('own'), id, caller: caller.id }), { signedIn: true })
    .post('/json', ({ body, caller }) => ({ ...done('json'), size: body.text.length, caller: caller.id }), {
      signedIn: true,
      body: t.Object({ text: t.String() }),
    })
    .post('/admin', () => done('admin'), { admin: true, body: t.Object({ text: t.String() }) })
    .post('/sign-in', () => done('sign-in'), { anyone: true, signInLimit: true, body: t.Object({ text: t.String() }) })
    .post('/form', ({ body }) => ({ ...done('form'), body }), {
      anyone: true,
      parse: 'urlencoded',
      body: t.Object({}, { additionalProperties: true }),
    })
    .put(
      '/raw',
      async ({ request }) => {
        seen.bodyUsed.push(request.bodyUsed);
        return { ...done('raw'), size: (await request.arrayBuffer()).byteLength };
      },
      { signedIn: true, parse: 'none' },
    )
    .delete(
      '/own/:id',
      ({ set }) => {
        done('delete');
        set.status = 204;
      },
      { signedIn: true },
    )
    .get(
      '/bug',
      () => {
        throw new Error('secret of the house');
      },
      { anyone: true },
    )
    .get(
      '/nothing-thrown',
      () => {
        throw null;
      },
      { anyone: true },
    );

  const gate = createGate({
    app: createApp([routes], (error) => seen.unexpected.push(error)),
    fallbacks: [],
    identify(request) {
      const cookie = request.headers.get('cookie');
      const name = /^Bearer (\S+)$/.exec(request.headers.get('authorization') ?? '')?.[1] ?? cookie;
      if (!name) return { caller: null, fault: null };
      const caller = callerOf(name, cookie ? 'cookie' : 'bearer');
      return { caller, fault: caller ? null : accessProblems.create('invalid-token') };
    },
    clientEnd: (headers) => ({
      address: headers.get('x-test-address') ?? '192.0.2.1',
      isSecure: headers.has('x-test-secure'),
    }),
    limiter: memoryRateLimiter(clock),
    policies: { default: null, auth: null },
    cors: createCors([]),
    bodyMaxBytes: 1000,
    isProduction: false,
    onAnswer: (context, status) => seen.answers.push({ context, status }),
    onUnexpected: (error) => seen.unexpected.push(error),
    isDraining: () => false,
    ...changes,
  });
  return {
    clock,
    seen,
    /** Sends a request; a text as body is sent with its length, a stream without one. */
    async send(
      method: string,
      path: string,
      init: { as?: string; origin?: string; headers?: Record<string, string>; body?: string | ReadableStream } = {},
    ) {
      const headers = new Headers(init.headers);
      if (init.as) headers.set('authorization', `Bearer ${init.as}`);
      if (typeof init.body === 'string' && !headers.has('content-length')) {
        headers.set('content-length', String(Buffer.byteLength(init.body)));
      }
      if (typeof init.body === 'object') headers.set('transfer-encoding', 'chunked');
      const request = new Request(`${init.origin ?? 'http://localhost'}${path}`, {
        method,
        headers,
        body: init.body ?? null,
      });
      const response = await gate(request, {
        peerAddress: '192.0.2.1',
        isSecure: false,
        keepOpen: () => undefined,
        cutWhenIdle: () => undefined,
      });
      const text = await response.text();
      const json = (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, unknown>;
      return { status: response.status, headers: response.headers, text, json, code: json['code'], request };
    },
  };
}
