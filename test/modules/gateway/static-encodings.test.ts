import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import { openStaticFile } from '../../../src/drivers/static-files.ts';
import { MemoryTier } from '../../../src/kernel/memory-tier.ts';
import { type Coding, isCompressible, preferredCodings } from '../../../src/modules/gateway/static-encodings.ts';
import { createStaticFiles } from '../../../src/modules/gateway/static-files.ts';
import { createStaticMemory } from '../../../src/modules/gateway/static-memory.ts';
import { systemClock } from '../../../src/ports/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { fakeClock } from '../../support/fakes.ts';
import { temporaryFolder } from '../cache/support.ts';
import { requestFor } from './request.ts';

describe('which encoding a client gets (RFC 9110 §12.5.3)', () => {
  const all: readonly Coding[] = ['br', 'zstd', 'gzip'];
  const cases: [field: string | null, offered: readonly Coding[], preferred: Coding[]][] = [
    [null, all, []],
    ['', all, []],
    ['gzip', all, ['gzip']],
    ['GZIP, Br', all, ['br', 'gzip']],
    ['gzip, deflate, br, zstd', all, ['br', 'zstd', 'gzip']],
    ['gzip;q=1.0, br;q=0.5', all, ['gzip', 'br']],
    ['br;q=0, gzip', all, ['gzip']],
    ['br;q=0.000', all, []],
    ['*', all, ['br', 'zstd', 'gzip']],
    ['*;q=0.5, gzip', all, ['gzip', 'br', 'zstd']],
    ['br, *;q=0', all, ['br']],
    ['identity, gzip;q=0.5', all, []],
    ['identity;q=0.3, gzip;q=0.5', all, ['gzip']],
    ['identity;q=0', all, []],
    ['x-gzip', all, ['gzip']],
    ['br', ['gzip'], []],
    ['br;q=nonsense', all, ['br']],
    ['deflate, compress', all, []],
    ['gzip'.padEnd(5000, ' ,'), all, []],
  ];
  test.each(cases)('%p', (field, offered, preferred) => {
    expect(preferredCodings(field, offered)).toEqual(preferred);
  });

  test.each([
    ['text/html; charset=utf-8', true],
    ['text/javascript; charset=utf-8', true],
    ['application/json', true],
    ['image/svg+xml', true],
    ['application/wasm', true],
    ['image/png', false],
    ['font/woff2', false],
    ['video/mp4', false],
    ['application/zip', false],
    ['application/octet-stream', false],
  ])('%s is worth compressing: %p', (type, expected) => expect(isCompressible(type)).toBe(expected));
});

describe('public files', () => {
  let folder: string;
  let root: string;
  let files: ReturnType<typeof createStaticFiles>;
  const text = 'body { color: red } /* again */\n'.repeat(500);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bunkhouse-encodings-'));
    root = join(folder, 'public');
    await mkdir(root);
    files = createStaticFiles({
      root,
      openFile: openStaticFile,
      clock: systemClock,
      memory: new MemoryTier(8 * 2 ** 20),
    });
    await writeFile(join(root, 'site.css'), text);
    await writeFile(join(root, 'tiny.css'), 'a{}');
    await writeFile(join(root, 'noise.txt'), crypto.getRandomValues(new Uint8Array(8192)));
    await writeFile(join(root, 'photo.png'), text);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** As from a socket: in a turn of the event loop of its own. */
  const handle = async (path: string, init?: RequestInit) => {
    await nextTurn();
    return files.handle(requestFor(path, init));
  };
  const get = async (
    path: string,
    acceptEncoding: string | null,
    headers: Record<string, string> = {},
    method = 'GET',
  ) => {
    const sent = acceptEncoding === null ? headers : { ...headers, 'accept-encoding': acceptEncoding };
    const response = await handle(path, { method, headers: sent });
    if (!response) throw new Error('no answer');
    return response;
  };
  const unpackers = { br: brotliDecompressSync, zstd: zstdDecompressSync, gzip: gunzipSync };

  test.each(['br', 'zstd', 'gzip'] as const)(
    'are sent as %s to who takes it, with a tag of its own',
    async (coding) => {
      for (let round = 0; round < 2; round++) {
        const response = await get('/site.css', coding);
        const { headers } = response;
        expect([headers.get('content-encoding'), headers.get('vary')]).toEqual([coding, 'Accept-Encoding']);
        expect(headers.get('content-type')).toBe('text/css; charset=utf-8');
        expect(headers.get('etag')).toEndWith(`-${coding}"`);
        const packed = new Uint8Array(await response.arrayBuffer());
        expect(packed.byteLength).toBeLessThan(text.length / 10);
        expect(unpackers[coding](packed).toString()).toBe(text);
        const again = await get('/site.css', coding, { 'if-none-match': headers.get('etag') ?? '' });
        expect([again.status, again.headers.get('vary')]).toEqual([304, 'Accept-Encoding']);
        const head = await get('/site.css', coding, {}, 'HEAD');
        expect(head.headers.get('content-length')).toBe(String(packed.byteLength));
      }
    },
  );

  test('are compressed once for many who ask at the same time', async () => {
    await writeFile(join(root, 'busy.css'), text);
    const all = await Promise.all(Array.from({ length: 200 }, () => get('/busy.css', 'br')));
    expect(new Set(all.map(({ headers }) => headers.get('content-encoding')))).toEqual(new Set(['br']));
  });

  test.each([
    ['/tiny.css', null],
    ['/noise.txt', 'Accept-Encoding'],
    ['/photo.png', null],
  ])('that would not get smaller are sent as they are: %s', async (path, vary) => {
    for (let round = 0; round < 2; round++) {
      const { headers } = await get(path, 'br, gzip');
      expect([headers.get('content-encoding'), headers.get('vary')]).toEqual([null, vary]);
    }
  });

  test('give parts of the plain file, whatever else is accepted', async () => {
    const part = await get('/site.css', 'br', { range: 'bytes=0-3' });
    expect([part.status, part.headers.get('content-encoding'), await part.text()]).toEqual([206, null, 'body']);
    expect(part.headers.get('vary')).toBe('Accept-Encoding');
  });

  test('that lie beside it compressed already are sent as they lie, unless they are older', async () => {
    await writeFile(join(root, 'built.js'), text);
    await writeFile(join(root, 'built.js.br'), 'made by the build');
    await writeFile(join(root, 'built.js.gz'), 'made by an older build');
    const longAgo = new Date(Date.now() - 3_600_000);
    await utimes(join(root, 'built.js.gz'), longAgo, longAgo);
    expect(await (await get('/built.js', 'br')).text()).toBe('made by the build');
    expect(gunzipSync(await (await get('/built.js', 'gzip')).arrayBuffer()).toString()).toBe(text);
    expect((await get('/built.js', 'br')).headers.get('content-encoding')).toBe('br');
    expect((await get('/built.js', null)).headers.get('vary')).toBe('Accept-Encoding');
  });

  test('that lie beside it and lead out of the folder are not sent', async () => {
    await writeFile(join(folder, 'secret'), 'SECRET');
    await writeFile(join(root, 'page.html'), text);
    await symlink(join(folder, 'secret'), join(root, 'page.html.br'));
    const response = await get('/page.html', 'br');
    expect(brotliDecompressSync(await response.arrayBuffer()).toString()).toBe(text);
  });

  test('are the new ones at once when they change, also by a link that changes or a file that goes', async () => {
    const path = join(root, 'changing.css');
    const read = async () => {
      const response = await get('/changing.css', 'br');
      return brotliDecompressSync(await response.arrayBuffer())
        .toString()
        .slice(0, 3);
    };
    for (const version of ['one', 'two']) {
      await writeFile(path, version.repeat(1000));
      for (let round = 0; round < 3; round++) expect(await read()).toBe(version);
    }
    await writeFile(join(root, 'next.css'), 'new'.repeat(1000));
    await rename(join(root, 'next.css'), path);
    expect(await read()).toBe('new');
    await rm(path);
    await symlink('site.css', path);
    expect(await read()).toBe('bod');
    await rm(path);
    await symlink(join(folder, 'secret'), path);
    expect(await handle('/changing.css')).toBeNull();
    await rm(path);
    expect(await handle('/changing.css')).toBeNull();
  });
});

describe('a file that stays the same', () => {
  test('is looked at anew after a while, by one for all and behind its answers, and keeps what was made of it', async () => {
    await using folder = await temporaryFolder();
    const clock = fakeClock();
    const opened: string[] = [];
    const files = createStaticFiles({
      root: folder.path,
      clock,
      memory: new MemoryTier(2 ** 20),
      openFile(path) {
        opened.push(basename(path));
        return openStaticFile(path);
      },
    });
    const path = join(folder.path, 'hot.css');
    await writeFile(path, 'a'.repeat(5000));
    const asked = async () => {
      await nextTurn();
      const response = await files.handle(requestFor('/hot.css', { headers: { 'accept-encoding': 'gzip' } }));
      return response?.headers.get('etag');
    };
    const [tag] = await Promise.all([asked(), asked(), asked()]);
    expect(opened).toEqual(['hot.css']);
    expect(await asked()).toBe(tag);

    // What is made of it may be told from what lies beside it by its tag.
    await writeFile(`${path}.gz`, gzipSync('a'.repeat(5000)));
    expect(await asked()).toBe(tag);
    clock.turn(6_000);
    expect(await asked()).toBe(tag);
    await eventually(async () => (await asked()) !== tag);
    const beside = await asked();
    clock.turn(3_600_000);
    await rm(`${path}.gz`);
    expect(await asked()).toBe(tag);
    expect(beside).not.toBe(tag);

    await writeFile(`${path}.gz`, gzipSync('b'.repeat(5000)));
    // The wall clock was set back.
    clock.turn(-3_600_000);
    expect(await asked()).not.toBe(tag);
  });
});

describe('a hot file', () => {
  /** Files whose bytes are counted when they are read, and come when `admit` lets them. */
  async function watched(memory: MemoryTier, admit: Promise<void> = Promise.resolve()) {
    const folder = await temporaryFolder();
    const reads: string[] = [];
    const files = createStaticFiles({
      root: folder.path,
      clock: systemClock,
      memory,
      async openFile(path) {
        const file = await openStaticFile(path);
        if (!file) return null;
        const open = () =>
          new ReadableStream(
            {
              async pull(controller) {
                reads.push(basename(path));
                await admit;
                controller.enqueue(new Uint8Array(await file.open().arrayBuffer()));
                controller.close();
              },
            },
            { highWaterMark: 0 },
          );
        return { ...file, open };
      },
    });
    const ask = async (name: string, acceptEncoding = '') => {
      await nextTurn();
      const headers = { 'accept-encoding': acceptEncoding };
      const response = await files.handle(requestFor(`/${name}`, { headers }));
      if (!response) throw new Error('no answer');
      return response;
    };
    return { folder, reads, ask };
  }

  test.each([0, 10_000, 64 * 2 ** 20])(
    'is compressed and read once, however little memory there is for the rest: %d bytes',
    async (bytes) => {
      const { folder, reads, ask } = await watched(new MemoryTier(bytes));
      await using _ = folder;
      await writeFile(join(folder.path, 'text.css'), 'a'.repeat(50_000));
      await writeFile(join(folder.path, 'large.png'), new Uint8Array(2 * 2 ** 20));
      for (let round = 0; round < 3; round++) {
        const response = await ask('text.css', 'gzip');
        expect(response.headers.get('content-encoding')).toBe('gzip');
        expect(gunzipSync(await response.arrayBuffer()).length).toBe(50_000);
      }
      expect(reads).toEqual(['text.css']);
      for (let round = 0; round < 5; round++) await (await ask('large.png')).arrayBuffer();
      // The first is sent as it lies, the second reads it into memory.
      expect(reads).toEqual(['text.css', 'large.png', 'large.png']);
    },
  );

  test('is read into memory by one of many who ask at once', async () => {
    const admitted = Promise.withResolvers<void>();
    const { folder, reads, ask } = await watched(new MemoryTier(64 * 2 ** 20), admitted.promise);
    await using _ = folder;
    await writeFile(join(folder.path, 'large.png'), new Uint8Array(2 * 2 ** 20));
    const asked = Array.from({ length: 300 }, () => ask('large.png'));
    // All but the one that reads have theirs, of whose bytes nothing was read yet.
    let answered = 0;
    for (const one of asked) one.then(() => answered++);
    await eventually(async () => answered === 299);
    expect(reads).toEqual(['large.png']);
    admitted.resolve();
    const sizes = (await Promise.all(asked)).map(async (response) => (await response.arrayBuffer()).byteLength);
    expect(new Set(await Promise.all(sizes))).toEqual(new Set([2 * 2 ** 20]));
  });

  test('that was replaced while it was read takes no memory', async () => {
    const memory = new MemoryTier(64 * 2 ** 20);
    const admitted = Promise.withResolvers<void>();
    const { folder, reads, ask } = await watched(memory, admitted.promise);
    await using _ = folder;
    const path = join(folder.path, 'large.png');
    await writeFile(path, 'before');
    await ask('large.png');
    const reading = ask('large.png');
    await eventually(async () => reads.length === 1);
    await writeFile(`${path}.next`, 'behind');
    await rename(`${path}.next`, path);
    await ask('large.png');
    admitted.resolve();
    await reading;
    expect(memory.entries).toBe(0);
  });
});

describe('memory for hot files', () => {
  const content = (bytes: number) => new Blob([new Uint8Array(bytes)]);

  test('stays within the common bound, and what is used stays longest', () => {
    const memory = new MemoryTier(8000);
    const openPlace = createStaticMemory(memory);
    const hot = openPlace();
    hot.hold(content(700));
    const others = Array.from({ length: 50 }, openPlace);
    for (const other of others) {
      expect(hot.content?.size).toBe(700);
      expect(other.hold(content(700))).toBe(true);
      expect(memory.bytes).toBeLessThanOrEqual(8000);
    }
    expect(others.filter((other) => other.content).length).toBe(7);
  });

  test('takes nothing that would fill most of it, counts what is put anew once, and gives its room back', () => {
    const memory = new MemoryTier(8000);
    const openPlace = createStaticMemory(memory);
    expect(openPlace().hold(content(1001))).toBe(false);
    const one = openPlace();
    one.hold(content(1000));
    one.hold(content(500));
    expect(memory.entries).toBe(1);
    expect(memory.bytes).toBeLessThan(1000);
    one.release();
    expect([memory.bytes, one.content]).toEqual([0, undefined]);
  });
});
