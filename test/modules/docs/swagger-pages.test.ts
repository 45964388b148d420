import { describe, expect, test } from 'bun:test';
import { Elysia } from 'elysia';
import { openStaticFile } from '../../../src/drivers/static-files.ts';
import { createDocs } from '../../../src/modules/docs/index.ts';
import { requestFor } from '../gateway/request.ts';
import { sampleModule } from './sample.ts';

const docs = createDocs({ version: '1.2.3', openFile: openStaticFile, modules: () => [sampleModule(), docs] });
const app = new Elysia()
  .onError(({ error }) => new Response(String(error), { status: 418 }))
  .use([docs.routes ?? []].flat());
const get = (path: string, init?: RequestInit) => app.handle(requestFor(path, init));

describe('Swagger UI', () => {
  const files: readonly [path: string, type: string][] = [
    ['/swagger', 'text/html; charset=utf-8'],
    ['/swagger/', 'text/html; charset=utf-8'],
    ['/swagger/init.js', 'text/javascript; charset=utf-8'],
    ['/swagger/swagger-ui.css', 'text/css; charset=utf-8'],
    ['/swagger/swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
    ['/swagger/favicon-32x32.png', 'image/png'],
  ];
  test.each(files)('%s is served', async (path, type) => {
    const answer = await get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe(type);
    expect((await answer.blob()).size).toBeGreaterThan(100);
    const again = await get(path, { headers: { 'if-none-match': answer.headers.get('etag') ?? '' } });
    expect(again.status).toBe(304);
  });

  test('loads nothing inline and nothing from elsewhere', async () => {
    const answer = await get('/swagger');
    const text = await answer.text();
    expect(text).not.toMatch(/<style|style=|<script>|\son\w+=|https?:\/\//);
    expect(answer.headers.get('content-security-policy')).toContain("script-src 'self';");
    expect([...text.matchAll(/(?:src|href)="([^"]+)"/g)].every(([, url]) => url?.startsWith('/swagger/'))).toBe(true);
  });

  test.each(['/swagger/package.json', '/swagger/index.html', '/swagger/__proto__', '/swagger/..%2fpackage.json'])(
    '%s is not served',
    async (path) => {
      expect(await (await get(path)).text()).toContain('request/not-found');
    },
  );

  test('/swagger/json is the document, the docs themselves included', async () => {
    const answer = await get('/swagger/json');
    expect(answer.headers.get('content-type')).toContain('application/json');
    const document = (await answer.json()) as { openapi: string; paths: object };
    expect(document.openapi).toStartWith('3.1');
    expect(Object.keys(document.paths)).toEqual(expect.arrayContaining(['/api/files', '/swagger/json']));
    expect(document).toEqual(JSON.parse(JSON.stringify(await docs.document())));
  });
});
