import { crc32 } from 'node:zlib';

/**
 * An entry as bytes, for backends: `BHC` and a version byte, length of the head, length of the body, CRC-32 of both, then the head as
 * JSON and the body. Lengths and check make a torn, cut or foreign value a miss instead of a short body.
 */
export interface FrameHead {
  readonly space: string;
  readonly key: string;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  /** Moment at which the making of it began. */
  readonly begunAt: number;
  readonly createdAt: number;
  readonly freshUntil: number;
  readonly staleUntil: number;
}

const MAGIC = 0x42484301; // "BHC", version 1
const FIXED_BYTES = 16;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function encodeFrame(head: FrameHead, body: Uint8Array): Uint8Array {
  const json = encoder.encode(JSON.stringify(head));
  const frame = new Uint8Array(FIXED_BYTES + json.byteLength + body.byteLength);
  frame.set(json, FIXED_BYTES);
  frame.set(body, FIXED_BYTES + json.byteLength);
  const view = new DataView(frame.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, json.byteLength);
  view.setUint32(8, body.byteLength);
  view.setUint32(12, crc32(frame.subarray(FIXED_BYTES)));
  return frame;
}

/** `null` for whatever is not a whole frame of this version. The body is a view into the frame. */
export function decodeFrame(frame: Uint8Array): { readonly head: FrameHead; readonly body: Uint8Array } | null {
  if (frame.byteLength < FIXED_BYTES) return null;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const [headBytes, bodyBytes] = [view.getUint32(4), view.getUint32(8)];
  if (view.getUint32(0) !== MAGIC || FIXED_BYTES + headBytes + bodyBytes !== frame.byteLength) return null;
  if (view.getUint32(12) !== crc32(frame.subarray(FIXED_BYTES))) return null;
  const bodyStart = FIXED_BYTES + headBytes;
  try {
    const head: unknown = JSON.parse(decoder.decode(frame.subarray(FIXED_BYTES, bodyStart)));
    return isHead(head) ? { head, body: frame.subarray(bodyStart) } : null;
  } catch {
    return null;
  }
}

function isHead(value: unknown): value is FrameHead {
  const head = value as Partial<Record<keyof FrameHead, unknown>> | null;
  return (
    typeof head === 'object' &&
    head !== null &&
    typeof head.space === 'string' &&
    typeof head.key === 'string' &&
    typeof head.meta === 'object' &&
    head.meta !== null &&
    Array.isArray(head.tags) &&
    head.tags.every((tag) => typeof tag === 'string') &&
    [head.begunAt, head.createdAt, head.freshUntil, head.staleUntil].every(Number.isFinite)
  );
}
