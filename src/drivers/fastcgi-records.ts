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

/**
 * Writes the opening of a request: BEGIN_REQUEST, the parameters in whole pairs, the empty PARAMS record; without a body also the empty
 * STDIN record, and with that all of it. Characters are bytes.
 *
 * @returns a view of a buffer that the next call overwrites.
 * @throws OversizedParams
 */
export function createRequestEncoder(): (
  params: readonly (readonly [string, string])[],
  options: { readonly keepAlive: boolean; readonly hasBody?: boolean },
) => Buffer {
  let scratch = Buffer.allocUnsafe(16_384);

  return (params, { keepAlive, hasBody = true }) => {
    let total = 0;
    for (const [name, value] of params) total += 8 + name.length + value.length;
    if (total > MAX_PARAMS_BYTES) throw new OversizedParams('the parameters are larger than all that is taken');
    // Each further record holds at least half of what one can hold.
    const most = total + HEADER_BYTES * (6 + Math.ceil(total / (MAX_CONTENT_BYTES / 2)));
    if (scratch.length < most) scratch = Buffer.allocUnsafe(most);

    let at = writeHeader(scratch, 0, BEGIN_REQUEST, 8);
    scratch.fill(0, at, at + 8);
    scratch[at + 1] = ROLE_RESPONDER;
    scratch[at + 2] = keepAlive ? KEEP_CONNECTION : 0;
    at += 8;

    let record = at;
    at += HEADER_BYTES;
    for (const [name, value] of params) {
      const size = lengthBytes(name.length) + lengthBytes(value.length) + name.length + value.length;
      if (size > MAX_CONTENT_BYTES) throw new OversizedParams('a parameter is larger than a record');
      if (at - record - HEADER_BYTES + size > MAX_CONTENT_BYTES) {
        writeHeader(scratch, record, PARAMS, at - record - HEADER_BYTES);
        record = at;
        at += HEADER_BYTES;
      }
      at = writeLength(scratch, at, name.length);
      at = writeLength(scratch, at, value.length);
      at += scratch.write(name, at, 'latin1');
      at += scratch.write(value, at, 'latin1');
    }
    if (at - record > HEADER_BYTES) {
      writeHeader(scratch, record, PARAMS, at - record - HEADER_BYTES);
      record = at;
    }
    at = writeHeader(scratch, record, PARAMS, 0);
    return scratch.subarray(0, hasBody ? at : writeHeader(scratch, at, STDIN, 0));
  };
}

/** STDIN records for some bytes of the body. */
export function encodeStdin(bytes: Uint8Array): Buffer {
  const records = Math.ceil(bytes.length / MAX_CONTENT_BYTES);
  const encoded = Buffer.allocUnsafe(bytes.length + records * HEADER_BYTES);
  let at = 0;
  for (let start = 0; start < bytes.length; start += MAX_CONTENT_BYTES) {
    const part = bytes.subarray(start, start + MAX_CONTENT_BYTES);
    at = writeHeader(encoded, at, STDIN, part.length);
    encoded.set(part, at);
    at += part.length;
  }
  return encoded;
}

/** The empty record that ends the body. */
export const END_OF_STDIN: Buffer = Buffer.from([VERSION, STDIN, 0, REQUEST_ID, 0, 0, 0, 0]);

/** A management question that every implementation answers (§4.1): whether anybody is there. */
export const ASK_VALUES: Buffer = Buffer.from([VERSION, GET_VALUES, 0, 0, 0, 0, 0, 0]);

function writeHeader(target: Buffer, at: number, type: number, contentBytes: number): number {
  target[at] = VERSION;
  target[at + 1] = type;
  target[at + 2] = 0;
  target[at + 3] = REQUEST_ID;
  target[at + 4] = contentBytes >> 8;
  target[at + 5] = contentBytes & 255;
  target[at + 6] = 0;
  target[at + 7] = 0;
  return at + HEADER_BYTES;
}

/** Lengths up to 127 take one byte, longer ones four with the highest bit set (§3.4). */
function lengthBytes(length: number): number {
  return length < 128 ? 1 : 4;
}

function writeLength(target: Buffer, at: number, length: number): number {
  if (length < 128) {
    target[at] = length;
    return at + 1;
  }
  return target.writeUInt32BE((length | 0x80_00_00_00) >>> 0, at);
}

/** What a decoder finds. Views are of the chunk that was pushed. */
export interface RecordSink {
  onStdout(bytes: Uint8Array<ArrayBuffer>): void;
  onStderr(bytes: Uint8Array<ArrayBuffer>): void;
  /** The request is over. @param protocolStatus 0 for completed (§5.5). */
  onEnd(protocolStatus: number): void;
}

/**
 * Reads records from chunks that may be cut anywhere. Content is handed on as it comes, so nothing but a header and the eight bytes
 * of an END_REQUEST is ever kept.
 */
export class RecordDecoder {
  readonly #sink: RecordSink;
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #end = new Uint8Array(END_BODY_BYTES);
  #headerBytes = 0;
  #endBytes = 0;
  #type = 0;
  #content = 0;
  #padding = 0;

  constructor(sink: RecordSink) {
    this.#sink = sink;
  }

  /** Whether the last record was complete. */
  get isBetweenRecords(): boolean {
    return this.#headerBytes === 0 && this.#content === 0 && this.#padding === 0;
  }

  /** @throws FastCgiFault; the connection is of no use then. */
  push(chunk: Uint8Array<ArrayBuffer>): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#content > 0) {
        const part = chunk.subarray(at, at + this.#content);
        at += part.length;
        this.#content -= part.length;
        this.#take(part);
      } else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, chunk.length - at);
        at += skipped;
        this.#padding -= skipped;
      } else {
        const part = chunk.subarray(at, at + HEADER_BYTES - this.#headerBytes);
        this.#header.set(part, this.#headerBytes);
        at += part.length;
        this.#headerBytes += part.length;
        if (this.#headerBytes === HEADER_BYTES) this.#begin();
      }
    }
  }

  #begin(): void {
    const [version, type = 0, idHigh = 0, idLow = 0, high = 0, low = 0, padding = 0] = this.#header;
    this.#headerBytes = 0;
    if (version !== VERSION) throw new FastCgiFault('a record is not of version 1');
    this.#type = type;
    this.#content = high * 256 + low;
    this.#padding = padding;
    if (type === GET_VALUES_RESULT) return;
    if (idHigh * 256 + idLow !== REQUEST_ID) throw new FastCgiFault('a record is of another request');
    if (type === END_REQUEST) {
      if (this.#content !== END_BODY_BYTES) throw new FastCgiFault('an END_REQUEST record has a wrong size');
      this.#endBytes = 0;
    } else if (type !== STDOUT && type !== STDERR) throw new FastCgiFault('a record is of an unknown type');
  }

  #take(part: Uint8Array<ArrayBuffer>): void {
    if (this.#type === STDOUT) this.#sink.onStdout(part);
    else if (this.#type === STDERR) this.#sink.onStderr(part);
    else if (this.#type === END_REQUEST) {
      this.#end.set(part, this.#endBytes);
      this.#endBytes += part.length;
      if (this.#endBytes === END_BODY_BYTES) this.#sink.onEnd(this.#end[4] ?? 0);
    }
  }
}
