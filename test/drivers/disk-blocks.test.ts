import { expect, test } from 'bun:test';
import type { FileHandle } from 'node:fs/promises';
import { blockPipes } from '../../src/drivers/disk-blocks.ts';

/** A file whose writes end when the test says so. */
function slowFile() {
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const handle = {
    fd: -1,
    datasync: async () => undefined,
    async writev([part]: Uint8Array[], position: number) {
      begun.push(position);
      await new Promise<void>((resolve) => ends.push(resolve));
      return { bytesWritten: part?.length ?? 0 };
    },
  } as unknown as FileHandle;
  return { handle, begun, endNext: () => ends.shift()?.() };
}

const KIB = 1024;
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

test('an ordered pipe writes a block only when the one before it is written, so that no crash leaves a gap', async () => {
  const { handle, begun, endNext } = slowFile();
  const pipe = blockPipes({ isOrdered: true })(handle, 100, async () => undefined);
  await pipe.add(new Uint8Array(1536 * KIB));
  await settle();
  expect(begun).toEqual([100]);
  endNext();
  await settle();
  expect(begun).toEqual([100, 100 + 512 * KIB]);
  endNext();
  await settle();
  endNext();
  await pipe.end();
  expect(begun).toEqual([100, 100 + 512 * KIB, 100 + 1024 * KIB]);
});

test('many streams share what few would have had', async () => {
  const open = blockPipes({ isOrdered: false });
  const sizes: number[] = [];
  const files = Array.from({ length: 200 }, slowFile);
  const pipes = files.map(({ handle }) => open(handle, 0, async (block) => void sizes.push(block.length)));
  for (const pipe of pipes) await pipe.add(new Uint8Array(512 * KIB).subarray(0, 200 * KIB));
  await settle();
  expect(Math.min(...sizes)).toBe(64 * KIB);
  const ending = Promise.all(pipes.map((pipe) => pipe.end()));
  for (let round = 0; round < 4; round++) {
    for (const { endNext } of files) endNext();
    await settle();
  }
  for (const { endNext } of files) endNext();
  await ending;
});
