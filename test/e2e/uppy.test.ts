import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { type Call, createClient, register } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { launchBrowser } from './browser.ts';

const SIZE = 5 * 2 ** 20 + 77;

describe("Uppy's tus plugin in a page of another origin", () => {
  let page: ReturnType<typeof Bun.serve>;
  let server: TestServer;
  let browser: Browser;
  let call: Call;
  let token: string;

  beforeAll(async () => {
    const built = await Bun.build({ entrypoints: [join(import.meta.dirname, 'pages/uppy.ts')], target: 'browser' });
    const script = await built.outputs[0]?.text();
    page = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: ({ url }) =>
        url.endsWith('.js')
          ? new Response(script ?? '', { headers: { 'content-type': 'text/javascript' } })
          : new Response('<!doctype html><script src="/page.js"></script>', {
              headers: { 'content-type': 'text/html' },
            }),
    });
    server = await startServer({ env: { CORS_ORIGINS: page.url.origin } });
    call = createClient(server.url);
    token = (await register(call, 'ann@example.org')).access_token;
    browser = await launchBrowser();
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
    await page?.stop(true);
  });

  test.each([1, 3])(
    'uploads in %d parts, and reads the id of the file',
    async (parts) => {
      const tab = await browser.newPage();
      await tab.goto(page.url.href);
      const outcome = (await tab.evaluate(
        ([endpoint, bearer, size, parallel]) =>
          (globalThis as unknown as { send(...all: unknown[]): Promise<unknown> }).send(
            endpoint,
            bearer,
            size,
            parallel,
          ),
        [`${server.url}/api/uploads`, token, SIZE, parts] as const,
      )) as { successful: number; failed: unknown[]; fileId: string | null };
      expect(outcome).toMatchObject({ successful: 1, failed: [] });
      const { json } = await call('GET', `/api/files/${outcome.fileId}`, { token });
      const content = Buffer.from(new Uint8Array(SIZE).map((_, at) => (at * 31) & 0xff));
      expect(json).toMatchObject({
        name: 'from a page.bin',
        size: SIZE,
        type: 'application/octet-stream',
        sha256: createHash('sha256').update(content).digest('hex'),
      });
      await tab.close();
    },
    60_000,
  );
});
