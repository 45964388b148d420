/** What a server says of itself before it replicates (`HelloResponse` in libSQL's `replication_log.proto`). */
export interface Handshake {
  /** Of the log that frames come from; a server that did not shut down in order begins a new one. */
  readonly logId: string;
  /** Differs after each start of the server. */
  readonly session: string;
  /** The last frame that is committed; null when there is none yet. */
  readonly lastFrame: number | null;
}

/**
 * Reads the answer to a gRPC-Web call of `Hello`: messages of one byte of flags, four of length, then the message
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md). The highest flag marks the trailers.
 * @returns null when it is an error or something else.
 */
export function parseHandshake(body: Uint8Array): Handshake | null {
  if (body.length < 5 || (body[0] as number) >= 0x80) return null;
  const length = new DataView(body.buffer, body.byteOffset).getUint32(1);
  if (body.length < 5 + length) return null;
  const fields = readFields(body.subarray(5, 5 + length));
  const logId = fields?.get(3);
  const session = fields?.get(4);
  const lastFrame = fields?.get(5);
  if (!(logId instanceof Uint8Array) || !(session instanceof Uint8Array)) return null;
  return {
    logId: decoder.decode(logId),
    session: decoder.decode(session),
    lastFrame: typeof lastFrame === 'number' ? lastFrame : null,
  };
}

const decoder = new TextDecoder();

/** The fields of a protobuf message, by number; the last of each (https://protobuf.dev/programming-guides/encoding/). */
function readFields(message: Uint8Array): Map<number, Uint8Array | number> | null {
  const fields = new Map<number, Uint8Array | number>();
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let scale = 1; at < message.length; scale *= 128) {
      const byte = message[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  };
  while (at < message.length) {
    const tag = readVarint();
    const wireType = tag % 8;
    if (wireType === 0) fields.set(Math.floor(tag / 8), readVarint());
    else if (wireType === 2) {
      const length = readVarint();
      fields.set(Math.floor(tag / 8), message.subarray(at, at + length));
      at += length;
    } else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else return null;
  }
  return at === message.length ? fields : null;
}
