import { createHash, hash } from 'node:crypto';
import { promisify } from 'node:util';
import { createZstdDecompress, zstdDecompress } from 'node:zlib';
import type { Compressor } from '../../ports/compressor.ts';
import { decryptWith, encryptTo, WrongKey } from './age.ts';
import type { ObjectEntry } from './manifest.ts';
import { isEncryptedKey } from './object-names.ts';
import { backupProblems } from './problems.ts';
import { bytesOf, once } from './streams.ts';

/** What is compressed at a time; the frames of a file follow each other, as RFC 8878 §3 has it. */
const BLOCK_BYTES = 2 ** 20;
/** Blocks of one object that the threads of the runtime compress at once. */
const AHEAD = 3;
/** Stored bytes up to which an object is decompressed in one go. */
const SMALL_BYTES = 2 ** 20;

const decompress = promisify(zstdDecompress);

/** Hash and size of a content and of what is stored for it. */
export type Encoded = Omit<ObjectEntry, 'key'>;

/**
 * @param recipient what it is encrypted to; `null` when it is not.
 * @returns the bytes to store, and, when they have all been taken, what they are.
 */
export function encode(
  plain: AsyncIterable<Uint8Array>,
  recipient: string | null,
  compress: Compressor,
): { readonly stored: AsyncIterable<Uint8Array>; readonly encoded: () => Encoded } {
  const [plainHash, storedHash] = [createHash('sha256'), createHash('sha256')];
  let bytes = 0;
  let storedBytes = 0;
  let encoded: Encoded | null = null;
  async function* stored() {
    const source = await takeWhole(plain);
    if (source.whole) {
      const { stored, ...rest } = await encodeWhole(source.whole, recipient, compress);
      encoded = rest;
      yield stored;
      return;
    }
    const onBlock = (block: Uint8Array) => {
      plainHash.update(block);
      bytes += block.length;
    };
    const packed = compressed(source.chunks, compress, onBlock);
    for await (const chunk of recipient === null ? packed : encryptTo(recipient, packed)) {
      storedHash.update(chunk);
      storedBytes += chunk.length;
      yield chunk;
    }
    encoded = { sha256: plainHash.digest('hex'), bytes, storedBytes, storedSha256: storedHash.digest('hex') };
  }
  return {
    stored: stored(),
    encoded() {
      if (!encoded) throw new Error('the content was not read to its end');
      return encoded;
    },
  };
}

/**
 * A content that is there as a whole, as {@link encode} has it.
 * @param sha256 of the content, when it is known.
 */
export async function encodeWhole(
  plain: Uint8Array,
  recipient: string | null,
  compress: Compressor,
  sha256: string = sha256Of(plain),
): Promise<Encoded & { readonly stored: Uint8Array }> {
  const packed = await compressWhole(plain, compress);
  const stored = recipient === null ? packed : await bytesOf(encryptTo(recipient, once(packed)));
  return { stored, sha256, bytes: plain.length, storedBytes: stored.length, storedSha256: sha256Of(stored) };
}

/**
 * The plain content of an object, which is compared with its entry while it is read: the last chunk comes only when all is right.
 * However much the stored bytes would decompress to, no more than the entry's size is taken.
 * @throws backups/damaged, at the end at the latest; backups/needs-key, backups/wrong-key.
 */
export async function* decode(
  entry: ObjectEntry,
  stored: AsyncIterable<Uint8Array>,
  identities: readonly string[],
): AsyncGenerator<Uint8Array> {
  if (entry.bytes <= SMALL_BYTES) {
    yield await decodeWhole(entry, stored, identities);
    return;
  }
  const hash = createHash('sha256');
  let bytes = 0;
  let held: Uint8Array | null = null;
  try {
    for await (const chunk of decompressed(entry, decrypted(entry.key, checked(entry, stored), identities))) {
      if (held) yield held;
      bytes += chunk.length;
      if (bytes > entry.bytes) throw damaged(entry, 'it holds more than it should');
      hash.update(chunk);
      held = chunk;
    }
  } catch (error) {
    throw error instanceof Undecodable ? damaged(entry, 'it cannot be decoded', error) : error;
  }
  if (bytes !== entry.bytes) throw damaged(entry, 'it holds less than it should');
  if (hash.digest('hex') !== entry.sha256) throw damaged(entry, 'its content is another one');
  if (held) yield held;
}

async function decodeWhole(
  entry: ObjectEntry,
  stored: AsyncIterable<Uint8Array>,
  identities: readonly string[],
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of decompressed(entry, decrypted(entry.key, checked(entry, stored), identities))) {
      bytes += chunk.length;
      if (bytes > entry.bytes) throw damaged(entry, 'it holds more than it should');
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Undecodable ? damaged(entry, 'it cannot be decoded', error) : error;
  }
  if (bytes !== entry.bytes) throw damaged(entry, 'it holds less than it should');
  const whole = joined(chunks);
  if (sha256Of(whole) !== entry.sha256) throw damaged(entry, 'its content is another one');
  return whole;
}

/** The stored bytes of an object, compared with its entry while they are read. */
export async function* checked(entry: ObjectEntry, stored: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (entry.storedBytes <= SMALL_BYTES) {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of stored) {
      size += chunk.length;
      if (size > entry.storedBytes) throw damaged(entry, 'it is longer than it was');
      chunks.push(chunk);
    }
    if (size !== entry.storedBytes) throw damaged(entry, 'it is shorter than it was');
    const whole = joined(chunks);
    if (sha256Of(whole) !== entry.storedSha256) throw damaged(entry, 'its bytes have changed');
    yield whole;
    return;
  }
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stored) {
    bytes += chunk.length;
    if (bytes > entry.storedBytes) throw damaged(entry, 'it is longer than it was');
    hash.update(chunk);
    yield chunk;
  }
  if (bytes !== entry.storedBytes) throw damaged(entry, 'it is shorter than it was');
  if (hash.digest('hex') !== entry.storedSha256) throw damaged(entry, 'its bytes have changed');
}

/** What is stored under a key, as an entry would have it; `null` when it is damaged or cannot be decrypted. */
export async function measure(
  key: string,
  stored: AsyncIterable<Uint8Array>,
  identities: readonly string[],
): Promise<Encoded | null> {
  const [hash, storedHash] = [createHash('sha256'), createHash('sha256')];
  let bytes = 0;
  let storedBytes = 0;
  async function* counted() {
    for await (const chunk of stored) {
      storedHash.update(chunk);
      storedBytes += chunk.length;
      yield chunk;
    }
  }
  try {
    for await (const chunk of streamed(decrypted(key, counted(), identities))) {
      hash.update(chunk);
      bytes += chunk.length;
    }
  } catch (error) {
    if (error instanceof Undecodable || backupProblems.is(error, 'wrong-key')) return null;
    throw error;
  }
  return { sha256: hash.digest('hex'), bytes, storedBytes, storedSha256: storedHash.digest('hex') };
}

/** The error for an object that is not what its entry says. */
export function damaged({ key }: Pick<ObjectEntry, 'key'>, reason: string, cause?: unknown) {
  return backupProblems.create('damaged', { detail: `The object ${key} is damaged: ${reason}.`, cause });
}

/** A content that comes as one small chunk, or all of its chunks again. */
async function takeWhole(
  plain: AsyncIterable<Uint8Array>,
): Promise<{ readonly whole: Uint8Array } | { readonly whole: null; readonly chunks: AsyncIterable<Uint8Array> }> {
  const source = plain[Symbol.asyncIterator]();
  const first = await source.next();
  const second = first.done || first.value.length > SMALL_BYTES ? null : await source.next();
  if (first.done) return { whole: new Uint8Array() };
  if (second?.done) return { whole: first.value };
  async function* chunks() {
    try {
      yield first.value as Uint8Array;
      if (second) yield second.value as Uint8Array;
      yield* { [Symbol.asyncIterator]: () => source };
    } finally {
      await source.return?.();
    }
  }
  return { whole: null, chunks: chunks() };
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
}

/** Lower-case hex. A thread of the runtime would be given a copy of the bytes, which costs nearly as much as hashing them. */
export function sha256Of(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

async function* compressed(
  plain: AsyncIterable<Uint8Array>,
  compress: Compressor,
  onBlock: (block: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  const underWay: Promise<Uint8Array>[] = [];
  let isEmpty = true;
  for await (const block of blocksOf(plain)) {
    isEmpty = false;
    onBlock(block);
    const compressing = compress(block);
    compressing.catch(() => undefined);
    underWay.push(compressing);
    if (underWay.length === AHEAD) yield await (underWay.shift() as Promise<Uint8Array>);
  }
  if (isEmpty) yield await compress(Buffer.alloc(0));
  for (const compressing of underWay) yield await compressing;
}

/** As {@link compressed}. */
async function compressWhole(whole: Uint8Array, compress: Compressor): Promise<Uint8Array> {
  if (whole.length <= BLOCK_BYTES) return compress(whole);
  const blocks: Promise<Uint8Array>[] = [];
  for (let start = 0; start < whole.length; start += BLOCK_BYTES) {
    blocks.push(compress(whole.subarray(start, start + BLOCK_BYTES)));
  }
  return Buffer.concat(await Promise.all(blocks));
}

/** The same bytes in blocks of just {@link BLOCK_BYTES}, but for the last: what is stored does not depend on how a content came. */
async function* blocksOf(plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of plain) {
    for (let start = 0; start < chunk.length; ) {
      const part = chunk.subarray(start, start + BLOCK_BYTES - bytes);
      start += part.length;
      chunks.push(part);
      bytes += part.length;
      if (bytes < BLOCK_BYTES) continue;
      yield joined(chunks);
      chunks = [];
      bytes = 0;
    }
  }
  if (bytes > 0) yield joined(chunks);
}

async function* decrypted(
  key: string,
  stored: AsyncIterable<Uint8Array>,
  identities: readonly string[],
): AsyncGenerator<Uint8Array> {
  if (!isEncryptedKey(key)) {
    yield* stored;
    return;
  }
  if (identities.length === 0) throw backupProblems.create('needs-key');
  let fault: { readonly error: unknown } | null = null;
  async function* watched() {
    try {
      yield* stored;
    } catch (error) {
      fault = { error };
      throw error;
    }
  }
  try {
    yield* decryptWith(identities, watched());
  } catch (error) {
    if (fault) throw (fault as { readonly error: unknown }).error;
    if (error instanceof WrongKey) throw backupProblems.create('wrong-key', { cause: error });
    undecodable(error);
  }
}

async function* decompressed(entry: ObjectEntry, stored: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (entry.storedBytes > SMALL_BYTES || entry.bytes > 4 * SMALL_BYTES) {
    yield* streamed(stored);
    return;
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of stored) chunks.push(chunk);
  const size = Math.max(entry.bytes, 64);
  yield await decompress(Buffer.concat(chunks), { maxOutputLength: size, chunkSize: size }).catch(undecodable);
}

/** Decompresses a stream, no faster than its result is taken. A failure of the source is thrown as it is. */
async function* streamed(stored: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const decompressor = createZstdDecompress({ chunkSize: 256 * 1024 });
  let goOn = (): void => undefined;
  decompressor.on('drain', () => goOn()).on('close', () => goOn());
  const feeding = (async () => {
    for await (const chunk of stored) {
      if (decompressor.destroyed) return;
      if (decompressor.write(chunk)) continue;
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
    }
    decompressor.end();
  })();
  feeding.catch(() => decompressor.destroy());
  try {
    for await (const chunk of decompressor) yield chunk as Uint8Array;
  } catch (error) {
    await Promise.race([feeding, null]);
    undecodable(error);
  } finally {
    decompressor.destroy();
  }
  await feeding;
}

/** The stored bytes are not what the format asks for. */
class Undecodable extends Error {}

function undecodable(cause: unknown): never {
  throw new Undecodable('not what the format asks for', { cause });
}
