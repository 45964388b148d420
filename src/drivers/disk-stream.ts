import type { FileHandle } from 'node:fs/promises';
import { blockPipes } from './disk-blocks.ts';
import { atDisk, free } from './disk-write.ts';
import type { ThreadHash } from './hash-thread.ts';

export interface WrittenFile {
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface StreamWriter {
  /**
   * Fills a new file from a stream, after the chunks of its head, and makes its content durable (fdatasync). Hashing and
   * writing happen on other threads while more is received, in bounded memory. The handle is closed in any case.
   * @param isDisposable chunks are nobody else's: their memory is freed as soon as they are copied.
   */
  write(
    handle: FileHandle,
    head: readonly Uint8Array[],
    rest: AsyncIterable<Uint8Array>,
    isDisposable: boolean,
  ): Promise<WrittenFile>;
}

export function streamWriter(openHash: () => ThreadHash): StreamWriter {
  const openPipe = blockPipes({ isOrdered: false });
  return {
    async write(handle, head, rest, isDisposable) {
      const hash = openHash();
      const pipe = openPipe(handle, 0, (block) => hash.update(block));
      let size = 0;
      try {
        for (const chunk of head) {
          size += chunk.length;
          await pipe.add(chunk);
        }
        for await (const chunk of rest) {
          size += chunk.length;
          await pipe.add(chunk);
          if (isDisposable) free(chunk);
        }
        await pipe.end();
        const [sha256] = await Promise.all([hash.digest(), atDisk(handle.datasync())]);
        return { size, sha256 };
      } finally {
        await pipe.end().catch(() => undefined);
        hash.drop();
        await atDisk(handle.close());
      }
    },
  };
}
