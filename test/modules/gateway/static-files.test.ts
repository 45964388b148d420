import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openStaticFile } from '../../../src/drivers/static-files.ts';
import { MemoryTier } from '../../../src/kernel/memory-tier.ts';
import { createStaticFiles } from '../../../src/modules/gateway/static-files.ts';
import { systemClock } from '../../../src/ports/clock.ts';
import { requestFor } from './request.ts';

let folder: string;
let files: ReturnType<typeof createStaticFiles>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bunkhouse-static-'));
  const root = join(folder, 'public');
  await mkdir(join(root, 'docs/deep'), { recursive: true });
  await mkdir(join(root, 'bare'));
  await mkdir(join(root, '.well-known'));
  await mkdir(join(folder, 'public-next-door'));
  await writeFile(join(root, 'hello.txt'), 'hello world');
  await writeFile(join(root, 'empty.css'), '');
  await writeFile(join(root, 'app.3f9a2c1b.js'), 'export {};');
  await writeFile(join(root, 'café menu.html'), '<p>menu</p>');
  await writeFile(join(root, 'docs/index.html'), '<p>docs</p>');
  await writeFile(join(root, 'bare/file.txt'), 'bare');
  await writeFile(join(root, '.env'), 'SECRET=outside');
  await writeFile(join(root, '.well-known/security.txt'), 'Contact: here');
  await writeFile(join(folder, 'secret.txt'), 'SECRET=outside');
  await writeFile(join(folder, 'public-next-door/secret.txt'), 'SECRET=outside');
  await symlink(join(folder, 'secret.txt'), join(root, 'leak.txt'));
  await symlink(folder, join(root, 'up'));
  await symlink(join(folder, 'public-next-door'), join(root, 'sibling'));
  await symlink('hello.txt', join(root, 'alias.txt'));
  await symlink('loop', join(root, 'loop'));
  await symlink('/dev/zero', join(root, 'zero'));
  await symlink(root, join(folder, 'current'));
  Bun.spawnSync(['mkfifo', join(root, 'pipe')]);
  files = createStaticFiles({
    root,
    openFile: openStaticFile,
    clock: systemClock,
    memory: new MemoryTier(8 * 2 ** 20),
  });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** As from a socket: in a turn of the event loop of its own. */
const get = async (path: string, init?: RequestInit) => {
  await nextTurn();
  return files.handle(requestFor(path, init));
};

describe('public files', () => {
  test('are sent with type, length, validators and a policy of their own', async () => {
    const answer = await get('/hello.txt');
    expect(answer?.status).toBe(200);
    expect(await answer?.text()).toBe('hello world');
    expect(answer?.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(answer?.headers.get('etag')).toMatch(/^"[0-9a-z]+-[0-9a-z]+"$/);
    expect(Date.parse(answer?.headers.get('last-modified') ?? '')).toBeGreaterThan(Date.now() - 60_000);
    expect(answer?.headers.get('cache-control')).toBe('public, max-age=0, must-revalidate');
    expect(answer?.headers.get('content-security-policy')).not.toContain('default-src');
  });

  const served: readonly [path: string, body: string][] = [
    ['/alias.txt', 'hello world'],
    ['/empty.css', ''],
    ['/docs/', '<p>docs</p>'],
    ['/docs/index.html', '<p>docs</p>'],
    ['/caf%C3%A9%20menu.html', '<p>menu</p>'],
    ['/.well-known/security.txt', 'Contact: here'],
    ['/hello.txt?v=1', 'hello world'],
  ];
  test.each(served)('%s is served', async (path, body) => {
    const answer = await get(path);
    expect(answer?.status).toBe(200);
    expect(await answer?.text()).toBe(body);
  });

  test('with a content hash in the name may be kept forever', async () => {
    expect((await get('/app.3f9a2c1b.js'))?.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  });

  test('answer HEAD without a body, 304 for a known tag and 206 for a range', async () => {
    const head = await get('/hello.txt', { method: 'HEAD' });
    expect(await head?.text()).toBe('');
    expect(head?.headers.get('content-length')).toBe('11');
    const etag = head?.headers.get('etag') ?? '';
    const unchanged = await get('/hello.txt', { headers: { 'if-none-match': etag } });
    expect(unchanged?.status).toBe(304);
    const part = await get('/hello.txt', { headers: { range: 'bytes=6-' } });
    expect(part?.status).toBe(206);
    expect(part?.headers.get('content-range')).toBe('bytes 6-10/11');
    expect(await part?.text()).toBe('world');
  });

  const redirected: readonly [path: string, location: string][] = [
    ['/docs', '/docs/'],
    ['/docs?a=1&b=2', '/docs/?a=1&b=2'],
  ];
  test.each(redirected)('%s leads to %s', async (path, location) => {
    const answer = await get(path);
    expect(answer?.status).toBe(308);
    expect(answer?.headers.get('location')).toBe(location);
  });

  test('get a new tag when they change', async () => {
    const path = join(folder, 'public/changing.txt');
    await writeFile(path, 'one');
    const before = (await get('/changing.txt'))?.headers.get('etag');
    await writeFile(path, 'two!');
    expect((await get('/changing.txt'))?.headers.get('etag')).not.toBe(before);
  });
});

describe('nothing else is served', () => {
  test.each([
    '/',
    '/bare',
    '/bare/',
    '/missing.txt',
    '/hello.txt/',
    '/hello.txt/index.html',
    '/leak.txt',
    '/up/secret.txt',
    '/up/public/hello.txt/',
    '/sibling/secret.txt',
    '/loop',
    '/zero',
    '/pipe',
    '/.env',
    '/%2eenv',
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e%2fsecret.txt',
    '/..%5csecret.txt',
    '/docs/../../secret.txt',
    '/docs/deep/%2e%2e/%2e%2e/%2e%2e/secret.txt',
    '/hello.txt%00.html',
    '/%c0%ae%c0%ae/secret.txt',
    '//docs',
    `/${'a'.repeat(300)}`,
    `/${'a/'.repeat(3000)}`,
  ])('for %p', async (path) => {
    expect(await get(path)).toBeNull();
    expect(await files.has(path)).toBe(false);
  });

  test.each(['POST', 'PUT', 'DELETE', 'PATCH'])('to %s, although the path is known', async (method) => {
    expect(await get('/hello.txt', { method })).toBeNull();
    expect(await files.has('/hello.txt')).toBe(true);
    expect(await files.has('/docs')).toBe(true);
  });

  test('from a root that is missing', async () => {
    const none = createStaticFiles({
      root: join(folder, 'nowhere'),
      openFile: openStaticFile,
      clock: systemClock,
      memory: new MemoryTier(8 * 2 ** 20),
    });
    expect(await none.handle(requestFor('/hello.txt'))).toBeNull();
  });

  test('but a root that is itself a symbolic link is followed', async () => {
    const linked = createStaticFiles({
      root: join(folder, 'current'),
      openFile: openStaticFile,
      clock: systemClock,
      memory: new MemoryTier(8 * 2 ** 20),
    });
    expect((await linked.handle(requestFor('/hello.txt')))?.status).toBe(200);
  });
});
