/** Frames of RFC 6455 §5.2, as far as a client needs them: text it sends, and what a server sends, never split. */

const LONG = 126;

/** One masked text frame; the mask is zero, which is a mask like any other. */
export function toFrame(text: string): Buffer {
  const body = Buffer.from(text);
  const head =
    body.length < LONG ? [0x81, 0x80 | body.length] : [0x81, 0x80 | LONG, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), body]);
}

/**
 * Calls `hear` with where each whole frame's body begins and ends.
 * @returns what is left of a frame that is not whole yet.
 */
export function readFrames(chunk: Buffer, hear: (start: number, end: number) => void): Buffer | null {
  let at = 0;
  while (at < chunk.length) {
    if (chunk.length - at < 4 && (chunk.length - at < 2 || ((chunk[at + 1] as number) & 0x7f) === LONG)) break;
    const short = (chunk[at + 1] as number) & 0x7f;
    const start = short === LONG ? at + 4 : at + 2;
    const end = start + (short === LONG ? chunk.readUInt16BE(at + 2) : short);
    if (end > chunk.length) break;
    hear(start, end);
    at = end;
  }
  return at === chunk.length ? null : chunk.subarray(at);
}
