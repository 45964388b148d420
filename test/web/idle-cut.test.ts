import { expect, test } from 'bun:test';
import { startBunServer } from '../../src/drivers/bun-server.ts';
import { createPhpHandler } from '../../src/modules/php/handler.ts';
import { createScriptRunner } from '../../src/modules/php/run-script.ts';
import { createProxy } from '../../src/modules/proxy/index.ts';
import type { PhpAnswer, PhpPool } from '../../src/ports/php-pool.ts';
import { bindContext, type RequestContext } from '../../src/web/context.ts';
import type { Fallback } from '../../src/web/module.ts';
import { toProblemResponse } from '../../src/web/problems.ts';
import { openSockets } from '../modules/sockets/support.ts';
import { openUploads } from '../modules/uploads/support.ts';
import { fakeClock, recordingLog } from '../support/fakes.ts';
import { connectRaw } from '../support/raw.ts';

/** The runtime looks every four seconds. */
const IDLE_SECONDS = 1;
const PATIENCE_MS = 15_000;

const bodyOf = (text: string) =>
  new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });

const ANSWERS: Readonly<Record<string, () => PhpAnswer['body']>> = {
  '/whole.php': () => new TextEncoder().encode('done'),
  '/streamed.php': () => bodyOf('done'),
  '/broken.php': () => {
    throw new Error('no answer');
  },
};

const php = createPhpHandler({
  mount: '',
  resolve: async () => ({ kind: 'script', root: '', names: ['a.php'], pathInfo: '' }),
  runScript: createScriptRunner({
    pool: {
      send: async ({ params }) => {
        const path = params[0]?.[1] as string;
        return { status: 200, headers: [], body: (ANSWERS[path] as () => PhpAnswer['body'])() };
      },
    } as Partial<PhpPool> as PhpPool,
    takeBody: () => ({ body: null, release: async () => undefined }),
    toEnvironment: ({ request }) => ({ params: [['PATH', new URL(request.url).pathname]], common: [] }),
    sendFile: () => null,
    onErrors: () => undefined,
    log: recordingLog(),
  }),
  throughCache: async (request, _path, _caller, ask) => ask(request),
});

const proxy = createProxy({
  routes: [{ prefix: '/upstream', origins: ['http://upstream.example'] }],
  send: async ({ body }) => new Response(`got ${await new Response(body).text()}`),
  cache: { handle: async (request, _rule, ask) => ask(request) },
  ruleFor: (_path, name) => ({ name, mode: 'off' }),
  clock: fakeClock(),
  instance: 'test',
  ownCookie: 'own',
});

const [forwarder] = proxy.fallbacks as [Fallback];

const contextFor = (request: Request): RequestContext => ({
  id: 'test',
  address: '127.0.0.1',
  isSecure: false,
  method: request.method,
  path: new URL(request.url).pathname,
  startedAt: 0,
  route: '',
  caller: null,
  isForeign: false,
  credentialFault: null,
  rate: null,
  wire: null,
  readyAnswer: null,
});

const startSite = () =>
  startBunServer({
    hostname: '127.0.0.1',
    port: 0,
    idleSeconds: IDLE_SECONDS,
    isHostAllowed: () => true,
    refuse: () => new Response(null, { status: 421 }),
    async handle(request, connection) {
      bindContext(request, contextFor(request), connection);
      const { pathname } = new URL(request.url);
      const fallback = pathname.startsWith('/upstream') ? forwarder : php;
      try {
        return (await fallback.handle(request)) as Response;
      } catch (error) {
        return toProblemResponse(error, { requestId: 'test', path: pathname });
      }
    },
  });

test(
  'a kept connection is cut when it is idle, whatever was asked for on it before',
  async () => {
    const site = startSite();
    await using sockets = await openSockets({ idleSeconds: IDLE_SECONDS });
    await using uploads = await openUploads({ idleSeconds: IDLE_SECONDS });
    const bearer = 'Authorization: Bearer alice';
    const tus = 'Tus-Resumable: 1.0.0';
    const patch = 'X'.repeat(100);
    const requests: readonly (readonly [url: string, head: string, body: string, answer: RegExp])[] = [
      [site.url, 'GET /whole.php', '', /done/],
      [site.url, 'GET /streamed.php', '', /done/],
      [site.url, 'GET /broken.php', '', / 500 /],
      [site.url, 'POST /upstream', 'text', /got text/],
      [sockets.url, 'GET /connection/uni_sse?cf_connect=nonsense', '', / 4\d\d /],
      [uploads.url, `PUT /api/files/by-name/a.txt\r\n${bearer}`, 'x'.repeat(100_000), / 20[01] /],
      [uploads.url, `POST /api/uploads\r\n${bearer}\r\n${tus}\r\nUpload-Length: 100`, '', / 201 /],
      [uploads.url, `PATCH /api/uploads/none\r\n${bearer}\r\n${tus}`, patch, / 4\d\d /],
    ];
    const closed = await Promise.all(
      requests.map(async ([url, head, body, answer]) => {
        const connection = await connectRaw(url);
        const [line, ...fields] = head.split('\r\n');
        const length = body === '' ? [] : [`Content-Length: ${body.length}`];
        connection.write([`${line} HTTP/1.1`, 'Host: localhost', ...fields, ...length, '', body].join('\r\n'));
        await connection.until(answer);
        const late = Bun.sleep(PATIENCE_MS).then(() => 'still open');
        const end = await Promise.race([connection.closed.then(() => 'closed'), late]);
        connection.close();
        return [line, end];
      }),
    );
    expect(closed).toEqual(requests.map(([, head]) => [head.split('\r\n')[0] as string, 'closed']));
    await site.stop();
  },
  2 * PATIENCE_MS,
);
