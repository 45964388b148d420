import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomToken } from '../kernel/ids.ts';
import { bufferPool } from './buffer-pool.ts';
import { atDisk } from './disk-write.ts';
import { type GatheredBytes, gatheredBytes } from './gathered-bytes.ts';

/** Every part but the last has exactly so many bytes, as R2 wants it; no store takes smaller ones. */
export const PART_BYTES = 5 * 2 ** 20;
/** A body up to this size takes no buffer of a part. */
const SMALL_BYTES = 512 * 1024;
/** Buffers that may be waiting for slow clients to fill them; further bodies are gathered in temporary files. */
const FILLING = 12;
/** Buffers for what was gathered in files. They are held only while the store takes it. */
const SENDING = 4;

/** A whole part, or what is left at the end of a body. */
export interface Piece {
  readonly size: number;
  /** Lower-case hex; it is part of the signature of the request, so that the store checks what arrives. */
  readonly sha256: string;
  readonly isLast: boolean;
  /** The bytes, until {@link release}. */
  load(signal: AbortSignal): Promise<Uint8Array>;
  /** Idempotent. */
  release(): void;
}

/** Where a part is gathered. */
interface Space {
  write(bytes: Uint8Array, position: number): Promise<void> | void;
  load(size: number, signal: AbortSignal): Promise<Uint8Array>;
  release(): void;
}

/**
 * Cuts streams into parts of {@link PART_BYTES}; the last of a stream may be smaller, and empty when it is the only one. However
 * many streams there are and however slow they come, memory is bounded by the buffers they share.
 */
export function createCutter(): (body: AsyncIterable<Uint8Array>) => AsyncGenerator<Piece> {
  const filling = bufferPool(PART_BYTES, FILLING);
  const sending = bufferPool(PART_BYTES, SENDING);

  const inMemory = (buffer: Buffer): Space => ({
    write: (bytes, position) => buffer.set(bytes, position),
    load: async (size) => buffer.subarray(0, size),
    release: () => filling.give(buffer),
  });
  const inFile = (file: FileHandle): Space => {
    let loaded: Buffer | null = null;
    return {
      async write(bytes, position) {
        for (let done = 0; done < bytes.length; ) {
          done += (await atDisk(file.write(bytes, done, bytes.length - done, position + done))).bytesWritten;
        }
      },
      async load(size, signal) {
        loaded ??= await sending.take(signal);
        for (let done = 0; done < size; ) {
          const { bytesRead } = await atDisk(file.read(loaded, done, size - done, done));
          if (bytesRead === 0) throw new Error('a temporary file was cut');
          done += bytesRead;
        }
        return loaded.subarray(0, size);
      },
      release() {
        if (loaded) sending.give(loaded);
        file.close().catch(() => undefined);
      },
    };
  };
  const openSpace = async (): Promise<Space> => {
    const buffer = filling.tryTake();
    return buffer ? inMemory(buffer) : inFile(await openTemporaryFile());
  };

  return async function* cut(body) {
    let small: GatheredBytes | null = gatheredBytes();
    let space: Space | null = null;
    let size = 0;
    let hash = new Bun.CryptoHasher('sha256');
    /** Ends the piece that is being gathered. */
    const close = (isLast: boolean): Piece => {
      const own = space;
      const whole = small?.bytes();
      const piece = { size, sha256: hash.digest('hex'), isLast };
      space = null;
      size = 0;
      hash = new Bun.CryptoHasher('sha256');
      let isReleased = false;
      return {
        ...piece,
        load: (signal) => (own ? own.load(piece.size, signal) : Promise.resolve(whole ?? Buffer.alloc(0))),
        release() {
          if (!isReleased) own?.release();
          isReleased = true;
        },
      };
    };
    async function* gather(chunk: Uint8Array): AsyncGenerator<Piece> {
      for (let offset = 0; offset < chunk.length; ) {
        // A full part is passed on only when there is more, so that the last one is known as such.
        if (size === PART_BYTES) yield close(false);
        space ??= await openSpace();
        const bytes = chunk.subarray(offset, offset + PART_BYTES - size);
        await space.write(bytes, size);
        hash.update(bytes);
        size += bytes.length;
        offset += bytes.length;
      }
    }
    try {
      for await (const chunk of body) {
        if (small && size + chunk.length <= SMALL_BYTES) {
          small.add(chunk);
          size += chunk.length;
          continue;
        }
        if (small) {
          const earlier = small;
          small = null;
          size = 0;
          yield* gather(earlier.bytes());
        }
        yield* gather(chunk);
      }
      if (small) hash.update(small.bytes());
      yield close(true);
    } finally {
      // TypeScript does not see what the inner functions assign.
      (space as Space | null)?.release();
    }
  };
}

/** A file that vanishes when it is closed, or the process ends. */
async function openTemporaryFile(): Promise<FileHandle> {
  const path = join(tmpdir(), `bunkhouse-part-${randomToken(12)}`);
  const file = await atDisk(open(path, 'wx+', 0o600));
  await atDisk(unlink(path));
  return file;
}
