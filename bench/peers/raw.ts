import { closeSync, fdatasync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pino from 'pino';

/**
 * The floor under everything on Bun: one function a route, no framework, no authentication, no database. It answers with
 * the very bodies that Bunkhouse gave (`ANSWERS`, JSON of path → value). With `HEADERS` (JSON of name → value) it is the
 * decorated one: the same headers, an id and a log line for each request. `/sealed` keeps the promises that we keep for a file: it
 * is hashed, and on the disk when it is answered.
 */
const { PORT, DATA_DIR = '.', ANSWERS = '{}', HEADERS } = process.env;
const answers = JSON.parse(ANSWERS) as Record<string, object>;
const headers = HEADERS === undefined ? undefined : (JSON.parse(HEADERS) as Record<string, string>);
const log = pino(pino.destination({ dest: 1, sync: false, minLength: 4096 }));

const routes = Object.fromEntries(
  Object.entries(answers).map(([route, value]) => [
    route,
    { GET: headers ? decorated(route, value, headers) : () => Response.json(value) },
  ]),
);

Bun.serve({
  port: Number(PORT),
  hostname: '127.0.0.1',
  maxRequestBodySize: Number.MAX_SAFE_INTEGER,
  routes: {
    ...routes,
    '/blob/:name': {
      PUT: async (request) => Response.json({ size: await Bun.write(join(DATA_DIR, request.params.name), request) }),
      GET: (request) => new Response(Bun.file(join(DATA_DIR, request.params.name))),
    },
    '/sealed/:name': {
      PUT: async (request) => Response.json(await seal(join(DATA_DIR, request.params.name), request)),
    },
  },
});

async function seal(path: string, { body }: Request): Promise<{ sha256: string }> {
  const hash = new Bun.CryptoHasher('sha256');
  const file = openSync(path, 'w');
  for await (const chunk of body ?? []) {
    hash.update(chunk);
    writeSync(file, chunk);
  }
  await promisify(fdatasync)(file);
  closeSync(file);
  return { sha256: hash.digest('hex') };
}

function decorated(route: string, value: object, fixed: Record<string, string>) {
  return (request: Request) => {
    const startedAt = performance.now();
    const requestId = Bun.randomUUIDv7();
    const response = Response.json(value, { headers: { ...fixed, 'x-request-id': requestId } });
    const durationMs = performance.now() - startedAt;
    log.info({ requestId, method: request.method, route, status: response.status, durationMs }, 'request');
    return response;
  };
}
