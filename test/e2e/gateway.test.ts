import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
  const root = join(server.dataDir, 'public');
  await mkdir(join(root, 'docs'), { recursive: true });
  await writeFile(join(server.dataDir, 'outside.txt'), 'OUTSIDE');
  await writeFile(join(root, '.env'), 'OUTSIDE');
  await writeFile(join(root, 'hello.txt'), 'hello world');
  await writeFile(join(root, 'docs/index.html'), '<p>docs</p>');
  await symlink('../outside.txt', join(root, 'leak.txt'));
});

afterAll(() => server?.[Symbol.asyncDispose]());

/** Sends a request line as it is: `fetch` would tidy the path up. Answers with all that came back. */
async function raw(target: string): Promise<string> {
  const { hostname, port, host } = new URL(server.url);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let received = '';
  await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: (socket) => void socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
      data: (_, chunk) => {
        received += chunk.toString();
      },
      close: () => resolve(received),
      error: (_, error) => reject(error),
    },
  });
  return promise;
}

describe('the landing page', () => {
  test('is at / until there is a site, names the version and may be read by HEAD', async () => {
    const answer = await fetch(server.url);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-security-policy')).toStartWith("default-src 'self'");
    expect(await answer.text()).toMatch(/version \d+\.\d+\.\d+/);
    expect((await fetch(server.url, { method: 'HEAD' })).status).toBe(200);
    for (const path of [
      '/_bunkhouse/pages.css',
      '/_bunkhouse/landing.js',
      '/_bunkhouse/icon.svg',
      '/setup',
      '/problems',
    ]) {
      expect((await fetch(server.url + path)).status, path).toBe(200);
    }
  });

  test('gives way to a site, and comes back', async () => {
    const index = join(server.dataDir, 'public/index.html');
    await writeFile(index, '<h1>site</h1>');
    expect(await (await fetch(server.url)).text()).toBe('<h1>site</h1>');
    await rm(index);
    expect(await (await fetch(server.url)).text()).toContain('Bunkhouse');
  });
});

describe('public files', () => {
  test('have validators, ranges and their own policy', async () => {
    const answer = await fetch(`${server.url}/hello.txt`);
    expect(await answer.text()).toBe('hello world');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('content-security-policy')).not.toContain('default-src');
    const headers = { 'if-none-match': answer.headers.get('etag') ?? '' };
    expect((await fetch(`${server.url}/hello.txt`, { headers })).status).toBe(304);
    const part = await fetch(`${server.url}/hello.txt`, { headers: { range: 'bytes=-5' } });
    expect([part.status, await part.text()]).toEqual([206, 'world']);
    const head = await fetch(`${server.url}/hello.txt`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '11']);
  });

  test('lead from a directory to its index', async () => {
    const answer = await fetch(`${server.url}/docs?x=1`, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('location')]).toEqual([308, '/docs/?x=1']);
    expect(await (await fetch(`${server.url}/docs/`)).text()).toBe('<p>docs</p>');
  });

  test.each(['/hello.txt', '/docs/', '/'])('POST to %s is 405 and says what is allowed', async (path) => {
    const answer = await fetch(server.url + path, { method: 'POST', body: 'x' });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toContain('GET, HEAD');
    expect(((await answer.json()) as { code: string }).code).toBe('request/method-not-allowed');
  });

  test.each([
    '/../outside.txt',
    '/docs/../../outside.txt',
    '/%2e%2e/outside.txt',
    '/..%2foutside.txt',
    '/%2e%2e%2foutside.txt',
    '/..%5coutside.txt',
    '/..\\outside.txt',
    '/docs/..;/../outside.txt',
    '/%c0%ae%c0%ae/outside.txt',
    '/%252e%252e/outside.txt',
    '//outside.txt',
    '/./../outside.txt',
    '/leak.txt',
    '/.env',
    '/%2eenv',
    '/docs/../.env',
    '/hello.txt%00',
    '/outside.txt%00.html',
    '/%',
  ])('%s is not found', async (target) => {
    const answer = await raw(target);
    expect(answer).toMatch(/^HTTP\/1\.1 40[04] /);
    expect(answer).not.toContain('OUTSIDE');
  });

  test('an unknown path is a 404 problem', async () => {
    const answer = await fetch(`${server.url}/nothing-here`);
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });
});
