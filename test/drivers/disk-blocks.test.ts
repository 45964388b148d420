import { expect, test } from 'bun:test';
import { blockMemory } from '../../src/drivers/block-memory.ts';
import { openBlockPipe } from '../../src/drivers/disk-blocks.ts';
import type { FileWriter } from '../../src/drivers/disk-file-writer.ts';
import { failureOf } from '../contracts/object-store.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const lengthOf = (parts: readonly Uint8Array[]) => parts.reduce((sum, { length }) => sum + length, 0);

/** A file whose writes end when the test says so. */
function slowFile() {
  const begun: { readonly at: number; readonly bytes: number }[] = [];
  const ends: PromiseWithResolvers<void>[] = [];
  const writer: FileWriter = {
    write(parts, at) {
      begun.push({ at, bytes: lengthOf(parts) });
      const end = Promise.withResolvers<void>();
      ends.push(end);
      return end.promise;
    },
    sync: async () => undefined,
    close: async () => undefined,
  };
  return {
    writer,
    begun,
    endNext: async () => {
      ends.shift()?.resolve();
      await settle();
    },
    failNext: async (error: Error) => {
      ends.shift()?.reject(error);
      await settle();
    },
  };
}

test('a block is written only when the one before it is, together with what has gathered since', async () => {
  const { writer, begun, endNext } = slowFile();
  const pipe = openBlockPipe(blockMemory(MIB, 8), writer, 0, async () => undefined);
  await pipe.add(new Uint8Array(3.5 * MIB));
  await settle();
  expect(begun).toEqual([{ at: 0, bytes: MIB }]);
  const ended = pipe.end();
  await endNext();
  expect(begun.slice(1)).toEqual([{ at: MIB, bytes: 2.5 * MIB }]);
  await endNext();
  await ended;
});

test('after an odd beginning, blocks begin where the disk can take them from memory', async () => {
  const { writer, begun, endNext } = slowFile();
  const pipe = openBlockPipe(blockMemory(MIB, 8), writer, 100, async () => undefined);
  await pipe.add(new Uint8Array(2 * MIB));
  await settle();
  await endNext();
  const ended = pipe.end();
  await endNext();
  await endNext();
  await ended;
  expect(begun.map(({ at }) => at)).toEqual([100, MIB, 2 * MIB]);
  expect(begun.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(2 * MIB);
});

test('memory is used again only when it is hashed and written', async () => {
  const { writer, endNext } = slowFile();
  const hashed = Promise.withResolvers<void>();
  const pipe = openBlockPipe(blockMemory(MIB, 1), writer, 0, () => hashed.promise);
  const first = pipe.add(new Uint8Array(MIB));
  await first;
  let isAdded = false;
  const second = pipe.add(new Uint8Array(1))?.then(() => {
    isAdded = true;
  });
  await endNext();
  expect(isAdded).toBe(false);
  hashed.resolve();
  await second;
  expect(isAdded).toBe(true);
  const ended = pipe.end();
  await endNext();
  await ended;
});

test('a write that fails ends the pipe with its error, and gives the memory back', async () => {
  const memory = blockMemory(MIB, 1);
  const { writer, failNext } = slowFile();
  const pipe = openBlockPipe(memory, writer, 0, async () => undefined);
  await pipe.add(new Uint8Array(MIB));
  await failNext(new Error('no room'));
  const failure = async (work: () => Promise<void> | undefined) => {
    try {
      await work();
      return 'none';
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(await failure(() => pipe.add(new Uint8Array(1)))).toBe('no room');
  expect(await failure(() => pipe.end())).toBe('no room');
  expect(memory.take()).toBeInstanceOf(Uint8Array);
});

test('streams that fall silent leave their memory to others, however many hold some', async () => {
  const memory = blockMemory(64 * KIB, 4);
  const written = new Map<number, number>();
  const open = (stream: number) =>
    openBlockPipe(
      memory,
      {
        async write(parts) {
          written.set(stream, (written.get(stream) ?? 0) + lengthOf(parts));
        },
        sync: async () => undefined,
        close: async () => undefined,
      },
      0,
      async () => undefined,
    );
  const silent = Array.from({ length: 20 }, (_, index) => open(index));
  await Promise.all(silent.map((pipe) => pipe.add(new Uint8Array(1000))));
  const busy = open(99);
  await busy.add(new Uint8Array(MIB));
  await busy.end();
  expect(written.get(99)).toBe(MIB);
  await Promise.all(silent.map((pipe) => pipe.add(new Uint8Array(1000))));
  await Promise.all(silent.map((pipe) => pipe.end()));
  expect(silent.map((_, index) => written.get(index))).toEqual(silent.map(() => 2000));
});

test('streams that add a little all the time leave their memory to others, too', async () => {
  const memory = blockMemory(64 * KIB, 2);
  const quick: FileWriter = { write: async () => undefined, sync: async () => undefined, close: async () => undefined };
  const open = () => openBlockPipe(memory, quick, 0, async () => undefined);
  const slow = [open(), open()];
  for (const pipe of slow) await pipe.add(new Uint8Array(1));
  const trickle = setInterval(() => {
    for (const pipe of slow) void pipe.add(new Uint8Array(1));
  }, 2);
  const busy = open();
  await busy.add(new Uint8Array(MIB));
  clearInterval(trickle);
  await busy.end();
  await Promise.all(slow.map((pipe) => pipe.end()));
});

test('hashing that fails while a write lasts ends the pipe with its error, and is never left unhandled', async () => {
  const { writer, endNext } = slowFile();
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', note);
  try {
    const pipe = openBlockPipe(blockMemory(MIB, 2), writer, 0, async () => {
      throw new Error('no thread');
    });
    await pipe.add(new Uint8Array(MIB));
    await settle();
    await settle();
    expect(unhandled).toEqual([]);
    const ended = failureOf(pipe.end());
    await endNext();
    expect(await ended).toMatchObject({ message: 'no thread' });
  } finally {
    process.off('unhandledRejection', note);
  }
});
