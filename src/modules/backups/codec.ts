import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { createZstdDecompress, constants as zlibConstants, zstdCompress, zstdDecompress } from 'node:zlib';
import { decryptWith, encryptTo, WrongKey } from './age.ts';
import type { ObjectEntry } from './manifest.ts';
import { isEncryptedKey } from './object-names.ts';
import { backupProblems } from './problems.ts';

/** What is compressed at a time; the frames of a file follow each other, as RFC 8878 §3 has it. */
const BLOCK_BYTES = 2 ** 18;
/** Blocks of one object that the threads of the runtime compress at once. */
const AHEAD = 3;
/** Stored bytes up to which an object is decompressed in one go. */
const SMALL_BYTES = 2 ** 20;
/** Level 1 compresses three times as fast as 3, and hardly worse. With chunks of the usual 16 KiB it would take twice as long. */
const COMPRESSION = { chunkSize: 256 * 1024, params: { [zlibConstants.ZSTD_c_compressionLevel]: 1 } };

const compress = promisify(zstdCompress);
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
): { readonly stored: AsyncIterable<Uint8Array>; readonly encoded: () => Encoded } {
  const [hash, storedHash] = [createHash('sha256'), createHash('sha256')];
  let bytes = 0;
  let storedBytes = 0;
  let encoded: Encoded | null = null;
  async function* stored() {
    const onBlock = (block: Uint8Array) => {
      hash.update(block);
      bytes += block.length;
    };
    const packed = compressed(plain, onBlock);
    for await (const chunk of recipient === null ? packed : encryptTo(recipient, packed)) {
      storedHash.update(chunk);
      storedBytes += chunk.length;
      yield chunk;
    }
    encoded = { sha256: hash.digest('hex'), bytes, storedBytes, storedSha256: storedHash.digest('hex') };
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
 * The plain content of an object, which is compared with its entry while it is read: the last chunk comes only when all is right.
 * However much the stored bytes would decompress to, no more than the entry's size is taken.
 * @throws backups/damaged, at the end at the latest; backups/needs-key, backups/wrong-key.
 */
export async function* decode(
  entry: ObjectEntry,
  stored: AsyncIterable<Uint8Array>,
  identities: readonly string[],
): AsyncGenerator<Uint8Array> {
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

/** The stored bytes of an object, compared with its entry while they are read. */
export async function* checked(entry: ObjectEntry, stored: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
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

async function* compressed(
  plain: AsyncIterable<Uint8Array>,
  onBlock: (block: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  const underWay: Promise<Uint8Array>[] = [];
  let isEmpty = true;
  for await (const block of blocksOf(plain)) {
    isEmpty = false;
    onBlock(block);
    const compressing = compress(block, COMPRESSION);
    compressing.catch(() => undefined);
    underWay.push(compressing);
    if (underWay.length === AHEAD) yield await (underWay.shift() as Promise<Uint8Array>);
  }
  if (isEmpty) yield await compress(Buffer.alloc(0), COMPRESSION);
  for (const compressing of underWay) yield await compressing;
}

/** The same bytes in blocks of at least {@link BLOCK_BYTES}, but for the last. */
async function* blocksOf(plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  const take = (): Uint8Array => {
    const block = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
    chunks = [];
    bytes = 0;
    return block;
  };
  for await (const chunk of plain) {
    for (let start = 0; start < chunk.length; start += BLOCK_BYTES) {
      const part = chunk.subarray(start, start + BLOCK_BYTES);
      chunks.push(part);
      bytes += part.length;
      if (bytes >= BLOCK_BYTES) yield take();
    }
  }
  if (bytes > 0) yield take();
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
