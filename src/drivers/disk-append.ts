import type { FileHandle } from 'node:fs/promises';
import { abortable } from './abortable.ts';
import type { DiskIntake } from './disk-intake.ts';
import { free } from './disk-write.ts';
import type { ThreadHash } from './hash-thread.ts';

/** Bytes that arrive slowly are written, and so survive the process, after so long. */
const LINGER_MS = 1000;

export interface Append {
  /** Where the first byte goes. */
  readonly position: number;
  /** The hash of what is before, which takes the bytes in order; without one they are not hashed. */
  readonly hash: ThreadHash | null;
  readonly signal?: AbortSignal | undefined;
  /** Chunks are nobody else's: their memory is freed as soon as they are copied. */
  readonly isDisposable?: boolean | undefined;
}

/** The hash of the whole file by now; `null` when nobody knows it. It is the caller's to drop. */
export type Appended = ThreadHash | null;

/** What ended an append early, after what had arrived was made durable. */
export class AppendFault extends Error {
  override readonly name = 'AppendFault';
  readonly hash: Appended;

  constructor(cause: unknown, hash: Appended) {
    super('the body ended early', { cause });
    this.hash = hash;
  }
}

/**
 * Makes a function that adds a stream to a file and makes it durable (fdatasync). Hashing and writing happen on other threads while
 * more is received, in bounded memory. When the body or the signal ends it early, an {@link AppendFault} says why; when the
 * disk fails, its problem is thrown and the hash is gone.
 *
 * A new file gets a hash with its first block, however little is in it, unless that is all: so little is read again more cheaply.
 */
export function appender({ openHash, openInflow }: DiskIntake) {
  return async (handle: FileHandle, body: AsyncIterable<Uint8Array>, append: Append): Promise<Appended> => {
    const { position, signal, isDisposable = false } = append;
    let { hash } = append;
    /** No more comes. */
    let isOver = false;
    let isHashable = hash !== null || position === 0;
    const lose = (): void => {
      hash?.drop();
      hash = null;
      isHashable = false;
    };
    const { pipe, writer } = openInflow(handle, position, (part) => {
      if (!hash && isHashable && !isOver) hash = openHash();
      if (!hash) isHashable = false;
      // A file without a hash is read again in the end.
      return hash?.update(part).catch(lose);
    });

    let linger: ReturnType<typeof setTimeout> | undefined;
    let fault: { readonly error: unknown } | null = null;
    const source = abortable(body, signal)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await source.next().catch((error: unknown) => {
          fault = { error };
          return null;
        });
        if (!next || next.done) break;
        const added = pipe.add(next.value);
        if (added) await added;
        if (isDisposable) free(next.value);
        linger ??= setTimeout(() => {
          linger = undefined;
          pipe.ship();
        }, LINGER_MS);
      }
      isOver = true;
      await pipe.end();
      await writer.sync();
    } catch (error) {
      void source.return?.();
      await pipe.end().catch(() => undefined);
      lose();
      throw error;
    } finally {
      clearTimeout(linger);
      await writer.close();
    }
    if (fault) throw new AppendFault((fault as { readonly error: unknown }).error, hash);
    return hash;
  };
}
