import type { FileHandle } from 'node:fs/promises';
import type { DiskIntake } from './disk-intake.ts';
import { atDisk, free } from './disk-write.ts';

export interface WrittenFile {
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/**
 * Fills a new file from a stream, after the chunks of its head, and makes its content durable (fdatasync). Hashing and
 * writing happen on other threads while more is received, in bounded memory. The handle is closed in any case.
 * @param isDisposable chunks are nobody else's: their memory is freed as soon as they are copied.
 */
export async function writeStream(
  intake: DiskIntake,
  handle: FileHandle,
  head: readonly Uint8Array[],
  rest: AsyncIterable<Uint8Array>,
  isDisposable: boolean,
): Promise<WrittenFile> {
  const hash = intake.openHash();
  const { pipe, writer } = intake.openInflow(handle, 0, (part) => hash.update(part));
  let size = 0;
  try {
    const take = async (chunk: Uint8Array): Promise<void> => {
      size += chunk.length;
      await pipe.add(chunk);
      if (isDisposable) free(chunk);
    };
    for (const chunk of head) await take(chunk);
    for await (const chunk of rest) await take(chunk);
    await pipe.end();
    const [sha256] = await Promise.all([hash.digest(), writer.sync()]);
    return { size, sha256 };
  } finally {
    await pipe.end().catch(() => undefined);
    hash.drop();
    try {
      await writer.close();
    } finally {
      await atDisk(handle.close());
    }
  }
}
