import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import type { PackedFile } from '../../ports/unpacking.ts';

/**
 * Unpacks files one after the other, holding its thread meanwhile: for thousands of files that is several times cheaper than streams.
 * However much a file would decompress to, no more than its size is taken.
 * @returns a function as {@link import('../../ports/unpacking.ts').Unpacking.unpack}, which throws the file system's errors.
 */
export function fileUnpacker(): (file: PackedFile, to: string) => string | null {
  // Used again and again: fresh memory costs more than reading into it.
  let memory = Buffer.alloc(0);
  const read = (path: string, bytes: number): Uint8Array => {
    if (memory.length < bytes) memory = Buffer.allocUnsafeSlow(2 * bytes);
    const file = openSync(path, 'r');
    try {
      let size = 0;
      for (let count = -1; count !== 0 && size < bytes; size += count)
        count = readSync(file, memory, size, bytes - size, null);
      return memory.subarray(0, size);
    } finally {
      closeSync(file);
    }
  };

  return ({ path, bytes, sha256, storedBytes, storedSha256 }, to) => {
    let stored: Uint8Array;
    try {
      // One more than it should have, so that a longer one is noticed.
      stored = read(path, storedBytes + 1);
    } catch (error) {
      const fault = READ_FAULTS[String((error as NodeJS.ErrnoException).code)];
      if (fault === undefined) throw error;
      return fault;
    }
    if (stored.length > storedBytes) return 'it is longer than it was';
    if (stored.length < storedBytes) return 'it is shorter than it was';
    const plain = decompress(stored, bytes);
    const fault = faultOf(plain, bytes, sha256);
    // The content's hash says all that counts; that of the stored bytes says only where the fault came from.
    if (fault !== null) return sha256Of(stored) === storedSha256 ? fault : 'its bytes have changed';
    write(to, plain as Uint8Array);
    release(plain as Uint8Array);
    return null;
  };
}

/** The memory that small buffers share is not larger. */
const RELEASED_BYTES = 2 ** 16;
const READ_FAULTS: Readonly<Record<string, string>> = { ENOENT: 'it is missing', EIO: 'the disk cannot read it' };

function faultOf(plain: Uint8Array | null, bytes: number, sha256: string): string | null {
  if (!plain) return 'it cannot be decoded';
  if (plain.length !== bytes) return 'it holds less than it should';
  return sha256Of(plain) === sha256 ? null : 'its content is another one';
}

function decompress(stored: Uint8Array, bytes: number): Uint8Array | null {
  const size = Math.max(bytes, 64);
  try {
    // Memory that is full is taken for too little, and as much again is allocated.
    return zstdDecompressSync(stored, { maxOutputLength: size, chunkSize: size + 1 });
  } catch {
    return null;
  }
}

/** Gives memory back now: left to the garbage collector, each content would come in memory that is new. */
function release({ buffer }: Uint8Array): void {
  // Small ones lie in memory that others share.
  if (buffer instanceof ArrayBuffer && buffer.byteLength > RELEASED_BYTES) buffer.transfer(0);
}

function write(path: string, bytes: Uint8Array): void {
  const file = openSync(path, 'wx');
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
  } finally {
    closeSync(file);
  }
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
