import type { PhpParams } from '../ports/php-pool.ts';

/**
 * The FastCGI record protocol, version 1, in the role of a web server that has one request on a connection at a time
 * (https://fastcgi-archives.github.io/FastCGI_Specification.html). Nothing in here knows of sockets.
 */

const VERSION = 1;
const REQUEST_ID = 1;
const HEADER_BYTES = 8;
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
 * STDIN record, and with that all of it. Characters are bytes, so that all is put together as text and turned into bytes once.
 *
 * @throws OversizedParams
 */
export function createRequestEncoder(): (opening: Opening) => Buffer {
  const known = new WeakMap<PhpParams, string>();
  const remembered = (list: PhpParams): string => {
    let text = known.get(list);
    if (text === undefined) {
      text = list.map(([name, value]) => pairOf(name, value)).join('');
      known.set(list, text);
    }
    return text;
  };

  return ({ params, common = [], keepAlive, hasBody }) => {
    const records = new ParamsWriter(keepAlive ? BEGIN_KEPT : BEGIN_ONCE);
    for (const list of common) {
      const text = remembered(list);
      if (text.length <= MAX_CONTENT_BYTES) records.add(text);
      else for (const [name, value] of list) records.add(pairOf(name, value));
    }
    for (const [name, value] of params) records.add(pairOf(name, value));
    return Buffer.from(records.end() + (hasBody ? END_OF_PARAMS : END_OF_PARAMS_AND_STDIN), 'latin1');
  };
}

/** Fills records with whole pairs. */
class ParamsWriter {
  #records: string;
  #content = '';

  constructor(begin: string) {
    this.#records = begin;
  }

  /** @param pairs one or several, which stay together. */
  add(pairs: string): void {
    if (this.#content.length + pairs.length > MAX_CONTENT_BYTES) {
      if (pairs.length > MAX_CONTENT_BYTES) throw new OversizedParams('a parameter is larger than a record');
      this.#flush();
    }
    this.#content += pairs;
    if (this.#records.length + this.#content.length > MAX_PARAMS_BYTES) {
      throw new OversizedParams('the parameters are larger than all that is taken');
    }
  }

  end(): string {
    this.#flush();
    return this.#records;
  }

  #flush(): void {
    // An empty record would end the parameters.
    if (this.#content === '') return;
    this.#records += headerOf(PARAMS, this.#content.length) + this.#content;
    this.#content = '';
  }
}

/** STDIN records for some bytes of the body. */
export function encodeStdin(bytes: Uint8Array): Buffer {
  const records = Math.ceil(bytes.length / MAX_CONTENT_BYTES);
  const encoded = Buffer.allocUnsafe(bytes.length + records * HEADER_BYTES);
  let at = 0;
  for (let start = 0; start < bytes.length; start += MAX_CONTENT_BYTES) {
    const part = bytes.subarray(start, start + MAX_CONTENT_BYTES);
    at += encoded.write(headerOf(STDIN, part.length), at, 'latin1');
    encoded.set(part, at);
    at += part.length;
  }
  return encoded;
}

/** The empty record that ends the body. */
export const END_OF_STDIN: Buffer = Buffer.from(headerOf(STDIN, 0), 'latin1');

/** A management question that every implementation answers (§4.1): whether anybody is there. */
export const ASK_VALUES: Buffer = Buffer.from([VERSION, GET_VALUES, 0, 0, 0, 0, 0, 0]);

function headerOf(type: number, contentBytes: number): string {
  return String.fromCharCode(VERSION, type, 0, REQUEST_ID, contentBytes >> 8, contentBytes & 255, 0, 0);
}

const BEGIN_KEPT = `${headerOf(BEGIN_REQUEST, 8)}\0${String.fromCharCode(ROLE_RESPONDER, KEEP_CONNECTION)}\0\0\0\0\0`;
const BEGIN_ONCE = `${headerOf(BEGIN_REQUEST, 8)}\0${String.fromCharCode(ROLE_RESPONDER)}\0\0\0\0\0\0`;
const END_OF_PARAMS = headerOf(PARAMS, 0);
const END_OF_PARAMS_AND_STDIN = END_OF_PARAMS + headerOf(STDIN, 0);

const SHORT_LENGTHS = Array.from({ length: 128 }, (_, length) => String.fromCharCode(length));

function pairOf(name: string, value: string): string {
  return lengthOf(name) + lengthOf(value) + name + value;
}

/** Lengths up to 127 take one byte, longer ones four with the highest bit set (§3.4). */
function lengthOf({ length }: string): string {
  return (
    SHORT_LENGTHS[length] ??
    String.fromCharCode((length >>> 24) | 128, (length >>> 16) & 255, (length >>> 8) & 255, length & 255)
  );
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
