import type { PhpParams } from '../ports/php-pool.ts';

/**
 * The FastCGI record protocol, version 1, in the role of a web server that has one request on a connection at a time
 * (https://fastcgi-archives.github.io/FastCGI_Specification.html). Nothing in here knows of sockets.
 */

const VERSION = 1;
const REQUEST_ID = 1;
const HEADER_BYTES = 8;
/** In a header (§3.3). */
const LENGTH_AT = 4;
/** contentLength has two bytes (§3.3). */
export const MAX_CONTENT_BYTES = 65_535;

const BEGIN_REQUEST = 1;
const END_REQUEST = 3;
const PARAMS = 4;
const STDIN = 5;
const STDOUT = 6;
const STDERR = 7;
const GET_VALUES = 9;
const GET_VALUES_RESULT = 10;

const ROLE_RESPONDER = 1;
const KEEP_CONNECTION = 1;
const END_BODY_BYTES = 8;
/** In the body of END_REQUEST (§5.5). */
const PROTOCOL_STATUS_AT = 4;

/** What the other side sent is no FastCGI, or not what was asked for. */
export class FastCgiFault extends Error {
  override readonly name = 'FastCgiFault';
}

/** A name with its value is larger than one record: php-fpm reads every PARAMS record alone and would hang up. */
export class OversizedParams extends Error {
  override readonly name = 'OversizedParams';
}

/** All parameters of one request together, in bytes. */
const MAX_PARAMS_BYTES = 512 * 1024;

/** What an opening is made of. */
export interface Opening {
  readonly params: PhpParams;
  readonly common?: readonly PhpParams[];
  readonly keepAlive: boolean;
  readonly hasBody: boolean;
}

/**
 * Writes the opening of a request: BEGIN_REQUEST, the parameters in whole pairs, the empty PARAMS record; without a body also the empty
 * STDIN record, and with that all of it. Characters are bytes. What it gives is a view of one buffer and holds until the next opening.
 *
 * @throws OversizedParams
 */
export function createRequestEncoder(): (opening: Opening) => Buffer {
  const known = new WeakMap<PhpParams, Buffer>();
  const writer = new ParamsWriter();

  const addCommon = (list: PhpParams): void => {
    const pairs = known.get(list);
    if (pairs) {
      writer.addPairs(pairs);
      return;
    }
    const written = writer.addList(list);
    if (written) known.set(list, written);
  };

  return ({ params, common = [], keepAlive, hasBody }) => {
    writer.begin(keepAlive ? BEGIN_KEPT : BEGIN_ONCE);
    for (const list of common) addCommon(list);
    for (const [name, value] of params) writer.add(name, value);
    return writer.end(hasBody ? END_OF_PARAMS : END_OF_PARAMS_AND_STDIN);
  };
}

/** Most openings fit. */
const USUAL_OPENING_BYTES = 8 * 1024;
/** Headers of the last records and of the end. */
const SPARE_BYTES = 64;
/** Up to here a loop is done before a call that copies has begun. */
const SHORT_TEXT = 64;

/** Fills records with whole pairs. */
class ParamsWriter {
  #bytes = Buffer.allocUnsafeSlow(USUAL_OPENING_BYTES);
  #at = 0;
  /** Where the header of the record stands that is being filled. */
  #recordAt = 0;

  begin(begin: Buffer): void {
    this.#bytes.set(begin, 0);
    this.#recordAt = begin.length;
    this.#at = begin.length + HEADER_BYTES;
  }

  add(name: string, value: string): void {
    this.#makeRoom(sizeOfLength(name) + sizeOfLength(value) + name.length + value.length);
    this.#writeLength(name.length);
    this.#writeLength(value.length);
    this.#writeText(name);
    this.#writeText(value);
  }

  /** @returns the bytes of the pairs, unless they came into several records. */
  addList(list: PhpParams): Buffer | null {
    const [start, recordAt] = [this.#at, this.#recordAt];
    for (const [name, value] of list) this.add(name, value);
    return this.#recordAt === recordAt ? Buffer.from(this.#bytes.subarray(start, this.#at)) : null;
  }

  /** Adds what {@link addList} gave; the pairs stay together. */
  addPairs(pairs: Buffer): void {
    this.#makeRoom(pairs.length);
    this.#bytes.set(pairs, this.#at);
    this.#at += pairs.length;
  }

  end(end: Buffer): Buffer {
    this.#endRecord();
    this.#bytes.set(end, this.#recordAt);
    return this.#bytes.subarray(0, this.#recordAt + end.length);
  }

  #makeRoom(bytes: number): void {
    if (this.#at + bytes - this.#recordAt - HEADER_BYTES > MAX_CONTENT_BYTES) {
      if (bytes > MAX_CONTENT_BYTES) throw new OversizedParams('a parameter is larger than a record');
      this.#endRecord();
    }
    const needed = this.#at + bytes;
    if (needed > MAX_PARAMS_BYTES) throw new OversizedParams('the parameters are larger than all that is taken');
    if (needed + SPARE_BYTES <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed + SPARE_BYTES, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }

  /** Writes the header of the record that was filled, and leaves room for that of the next. */
  #endRecord(): void {
    const contentBytes = this.#at - this.#recordAt - HEADER_BYTES;
    // An empty record would end the parameters.
    if (contentBytes === 0) return;
    const bytes = this.#bytes;
    bytes.set(END_OF_PARAMS, this.#recordAt);
    bytes[this.#recordAt + LENGTH_AT] = contentBytes >> 8;
    bytes[this.#recordAt + LENGTH_AT + 1] = contentBytes;
    this.#recordAt = this.#at;
    this.#at += HEADER_BYTES;
  }

  /** Lengths up to 127 take one byte, longer ones four with the highest bit set (§3.4). */
  #writeLength(length: number): void {
    if (length < 128) this.#bytes[this.#at++] = length;
    else this.#at = this.#bytes.writeUInt32BE((length | 0x80000000) >>> 0, this.#at);
  }

  #writeText(text: string): void {
    const bytes = this.#bytes;
    const at = this.#at;
    if (text.length > SHORT_TEXT) bytes.write(text, at, 'latin1');
    else for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
    this.#at = at + text.length;
  }
}

/** STDIN records for some bytes of the body. */
export function encodeStdin(bytes: Uint8Array): Buffer {
  const records = Math.ceil(bytes.length / MAX_CONTENT_BYTES);
  const encoded = Buffer.allocUnsafe(bytes.length + records * HEADER_BYTES);
  let at = 0;
  for (let start = 0; start < bytes.length; start += MAX_CONTENT_BYTES) {
    const part = bytes.subarray(start, start + MAX_CONTENT_BYTES);
    encoded.set(headerOf(STDIN, part.length), at);
    at += HEADER_BYTES;
    encoded.set(part, at);
    at += part.length;
  }
  return encoded;
}

function headerOf(type: number, contentBytes: number): Buffer {
  return Buffer.from([VERSION, type, 0, REQUEST_ID, contentBytes >> 8, contentBytes & 255, 0, 0]);
}

/** The empty record that ends the body. */
export const END_OF_STDIN: Buffer = headerOf(STDIN, 0);

/** A management question that every implementation answers (§4.1): whether anybody is there. */
export const ASK_VALUES: Buffer = Buffer.from([VERSION, GET_VALUES, 0, 0, 0, 0, 0, 0]);

const BEGIN_KEPT = Buffer.concat([
  headerOf(BEGIN_REQUEST, 8),
  Buffer.from([0, ROLE_RESPONDER, KEEP_CONNECTION, 0, 0, 0, 0, 0]),
]);
const BEGIN_ONCE = Buffer.concat([headerOf(BEGIN_REQUEST, 8), Buffer.from([0, ROLE_RESPONDER, 0, 0, 0, 0, 0, 0])]);
const END_OF_PARAMS = headerOf(PARAMS, 0);
const END_OF_PARAMS_AND_STDIN = Buffer.concat([END_OF_PARAMS, END_OF_STDIN]);

function sizeOfLength({ length }: string): number {
  return length < 128 ? 1 : 4;
}

/** What a decoder finds. Views are of the chunk that was pushed. */
export interface RecordSink {
  onStdout(bytes: Buffer<ArrayBuffer>): void;
  onStderr(bytes: Buffer<ArrayBuffer>): void;
  /** The request is over. @param protocolStatus 0 for completed (§5.5). */
  onEnd(protocolStatus: number): void;
}

/**
 * Reads records from chunks that may be cut anywhere. Content is handed on as it comes, so nothing but a header and the eight bytes
 * of an END_REQUEST is ever kept.
 */
export class RecordDecoder {
  /** Who hears of the next records. It may change between records. */
  sink: RecordSink;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerBytes = 0;
  #endBytes = 0;
  #status = 0;
  #type = 0;
  #content = 0;
  #padding = 0;

  constructor(sink: RecordSink) {
    this.sink = sink;
  }

  /** Whether the last record was complete. */
  get isBetweenRecords(): boolean {
    return this.#headerBytes === 0 && this.#content === 0 && this.#padding === 0;
  }

  /** @throws FastCgiFault; the connection is of no use then. */
  push(chunk: Buffer<ArrayBuffer>): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#content > 0) {
        const end = Math.min(at + this.#content, chunk.length);
        this.#content -= end - at;
        this.#take(chunk, at, end);
        at = end;
      } else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, chunk.length - at);
        at += skipped;
        this.#padding -= skipped;
      } else if (this.#headerBytes === 0 && chunk.length - at >= HEADER_BYTES) {
        this.#begin(chunk, at);
        at += HEADER_BYTES;
      } else {
        const part = chunk.subarray(at, at + HEADER_BYTES - this.#headerBytes);
        this.#header.set(part, this.#headerBytes);
        at += part.length;
        this.#headerBytes += part.length;
        if (this.#headerBytes === HEADER_BYTES) {
          this.#headerBytes = 0;
          this.#begin(this.#header, 0);
        }
      }
    }
  }

  /** Reads the header at `at` of `bytes` (§3.3). */
  #begin(bytes: Uint8Array, at: number): void {
    if (bytes[at] !== VERSION) throw new FastCgiFault('a record is not of version 1');
    const type = bytes[at + 1] ?? 0;
    this.#type = type;
    this.#content = uint16(bytes, at + 4);
    this.#padding = bytes[at + 6] ?? 0;
    if (type === GET_VALUES_RESULT) return;
    if (uint16(bytes, at + 2) !== REQUEST_ID) throw new FastCgiFault('a record is of another request');
    if (type === END_REQUEST) {
      if (this.#content !== END_BODY_BYTES) throw new FastCgiFault('an END_REQUEST record has a wrong size');
      this.#endBytes = 0;
    } else if (type !== STDOUT && type !== STDERR) throw new FastCgiFault('a record is of an unknown type');
  }

  #take(chunk: Buffer<ArrayBuffer>, start: number, end: number): void {
    if (this.#type === STDOUT) this.sink.onStdout(chunk.subarray(start, end));
    else if (this.#type === STDERR) this.sink.onStderr(chunk.subarray(start, end));
    else if (this.#type === END_REQUEST) {
      for (let at = start; at < end; at++) if (this.#endBytes++ === PROTOCOL_STATUS_AT) this.#status = chunk[at] ?? 0;
      if (this.#endBytes === END_BODY_BYTES) this.sink.onEnd(this.#status);
    }
  }
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
}
