import { expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { unpackingThreads } from '../../../src/drivers/unpacking-threads.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function temporaryDirectory() {
  const path = await mkdtemp(join(tmpdir(), 'bunkhouse-unpack-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

async function packed(root: string) {
  const plain = Buffer.concat([randomBytes(100_000), Buffer.alloc(200_000, 'text ')]);
  const stored = Buffer.concat([
    zstdCompressSync(plain.subarray(0, 2 ** 18)),
    zstdCompressSync(plain.subarray(2 ** 18)),
  ]);
  const path = join(root, 'packed.zst');
  await writeFile(path, stored);
  const file = {
    path,
    bytes: plain.length,
    sha256: sha256(plain),
    storedBytes: stored.length,
    storedSha256: sha256(stored),
  };
  return { plain, stored, file };
}

test('threads unpack many files at once', async () => {
  await using directory = await temporaryDirectory();
  const { plain, file } = await packed(directory.path);
  const threads = unpackingThreads();
  const targets = Array.from({ length: 20 }, (_, n) => join(directory.path, `plain-${n}`));
  expect(await Promise.all(targets.map((to) => threads.unpack(file, to)))).toEqual(targets.map(() => null));
  for (const to of targets) expect(Buffer.compare(await readFile(to), plain)).toBe(0);
  threads.close();
});

test('a process does not end while its threads are at work', async () => {
  await using directory = await temporaryDirectory();
  const { plain, file } = await packed(directory.path);
  const to = join(directory.path, 'plain');
  const program = `
    const { unpackingThreads } = await import(${JSON.stringify(join(import.meta.dirname, '../../../src/drivers/unpacking-threads.ts'))});
    const threads = unpackingThreads();
    void threads.unpack(${JSON.stringify(file)}, ${JSON.stringify(to)}).then(() => {
      console.log('unpacked');
      threads.close();
    });
  `;
  const child = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe', stderr: 'inherit' });
  expect(await new Response(child.stdout).text()).toBe('unpacked\n');
  expect(await child.exited).toBe(0);
  expect(Buffer.compare(await readFile(to), plain)).toBe(0);
});

test('what is wrong with a file is said, and nothing of it is written', async () => {
  await using directory = await temporaryDirectory();
  const { stored, plain, file } = await packed(directory.path);
  const threads = unpackingThreads();
  const to = join(directory.path, 'plain');
  const withBytes = async (bytes: Uint8Array, changes: Partial<typeof file> = {}) => {
    const path = join(directory.path, 'changed.zst');
    await writeFile(path, bytes);
    return threads.unpack({ ...file, path, ...changes }, to);
  };
  const flipped = Buffer.from(stored);
  flipped[1_000] = (flipped[1_000] as number) ^ 1;
  expect(await withBytes(flipped)).toBe('its bytes have changed');
  expect(await withBytes(Buffer.concat([stored, Buffer.of(0)]))).toBe('it is longer than it was');
  expect(await withBytes(stored.subarray(1))).toBe('it is shorter than it was');
  expect(await withBytes(stored, { sha256: sha256(stored) })).toBe('its content is another one');
  expect(await withBytes(stored, { bytes: plain.length + 1 })).toBe('it holds less than it should');
  // However much it would give, no more is taken than its size.
  expect(await withBytes(stored, { bytes: plain.length - 1 })).toBe('it cannot be decoded');
  const noise = randomBytes(stored.length);
  expect(await withBytes(noise, { storedSha256: sha256(noise) })).toBe('it cannot be decoded');
  expect(await threads.unpack({ ...file, path: join(directory.path, 'none') }, to)).toBe('it is missing');
  expect(await Bun.file(to).exists()).toBe(false);
  threads.close();
});

test('a place that cannot be written to is a fault of the storage, and closing ends what waits', async () => {
  await using directory = await temporaryDirectory();
  const { file } = await packed(directory.path);
  const threads = unpackingThreads();
  const failure = await threads.unpack(file, join(directory.path, 'none/plain')).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'storage/unavailable' });
  const waiting = threads.unpack(file, join(directory.path, 'plain')).catch((error: unknown) => error);
  threads.close();
  expect(await waiting).toMatchObject({ code: 'storage/unavailable' });
});
