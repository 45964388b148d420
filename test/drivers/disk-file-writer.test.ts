import { expect, test } from 'bun:test';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileWriter } from '../../src/drivers/disk-file-writer.ts';

const MIB = 2 ** 20;

/** Bytes that differ from place to place. */
function pattern(length: number, from: SharedArrayBuffer = new SharedArrayBuffer(length), offset = 0) {
  const bytes = new Uint8Array(from, offset, length);
  for (let index = 0; index < length; index += 4096) bytes[index] = (index / 4096) % 251;
  bytes[length - 1] = 7;
  return bytes;
}

/** Writes the content in parts of at most 1 MiB, and gives what is in the file then. */
async function writeAndRead(content: Uint8Array): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), 'bunkhouse-writer-'));
  const path = join(directory, 'file');
  const handle = await open(path, 'wx');
  const writer = fileWriter(handle);
  try {
    for (let at = 0; at < content.length; at += 2 * MIB) {
      const parts = [content.subarray(at, at + MIB), content.subarray(at + MIB, at + 2 * MIB)];
      await writer.write(
        parts.filter(({ length }) => length > 0),
        at,
      );
    }
    await writer.sync();
    return await Bun.file(path).bytes();
  } finally {
    await writer.close();
    await handle.close();
    await rm(directory, { recursive: true });
  }
}

test('a large file with an odd end is written whole, past the page cache and through it', async () => {
  const content = pattern(40 * MIB + 12_345);
  expect(Buffer.compare(await writeAndRead(content), content)).toBe(0);
});

test('memory that the disk cannot read from is written all the same', async () => {
  const length = 40 * MIB;
  const content = pattern(length, new SharedArrayBuffer(length + 1), 1);
  expect(Buffer.compare(await writeAndRead(content), content)).toBe(0);
});
