import { crc32, deflateSync, inflateSync } from 'node:zlib';

export interface PixelSize {
  readonly width: number;
  readonly height: number;
}

/** 8-bit RGBA, row by row, top to bottom. */
export interface RawPixels extends PixelSize {
  readonly data: Uint8Array;
  /** An `iCCP` chunk as it stands in a PNG, when there is one. */
  readonly profile: Uint8Array | null;
}

/**
 * Raw pixels in and out of `Bun.Image`, which has no such format: a PNG of compression level 0 is its rows, each behind a filter
 * byte of 0, in stored blocks (PNG 3rd edition §7.2, §9; RFC 1951 §3.2.4). Reading one costs about as much as copying it.
 *
 * @param cut takes only the rectangle of that size around the centre.
 */
export async function readPixels(image: Bun.Image, cut?: PixelSize): Promise<RawPixels> {
  const png = Buffer.from(await image.png({ compressionLevel: 0 }).bytes());
  const whole = { width: 0, height: 0 };
  let profile: Uint8Array | null = null;
  const parts: Uint8Array[] = [];
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    const content = png.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') {
      whole.width = content.readUInt32BE(0);
      whole.height = content.readUInt32BE(4);
      if (content[8] !== 8 || content[9] !== 6) throw new Error('expected 8-bit RGBA');
    }
    if (type === 'iCCP') profile = png.subarray(at, at + 12 + length);
    if (type === 'IDAT') parts.push(content);
    at += 12 + length;
  }
  const rows = inflateSync(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts));
  const { width, height } = cut ?? whole;
  const left = (whole.width - width) >> 1;
  const top = (whole.height - height) >> 1;
  const data = new Uint8Array(width * height * 4);
  for (let row = 0; row < height; row++) {
    const start = (top + row) * (whole.width * 4 + 1);
    if (rows[start] !== 0) throw new Error('expected rows without a filter');
    const first = start + 1 + left * 4;
    data.set(rows.subarray(first, first + width * 4), row * width * 4);
  }
  return { width, height, data, profile };
}

/** The pixels as a PNG that `Bun.Image` reads. */
export function toPng({ width, height, data, profile }: RawPixels): Uint8Array {
  const rows = new Uint8Array((width * 4 + 1) * height);
  for (let row = 0; row < height; row++) {
    rows.set(data.subarray(row * width * 4, (row + 1) * width * 4), row * (width * 4 + 1) + 1);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Bit depth 8, colour type 6 (RGBA), no interlacing.
  header.set([8, 6, 0, 0, 0], 8);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    ...(profile ? [profile] : []),
    chunk('IDAT', deflateSync(rows, { level: 0 })),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

/** Lays the pixels on white, in place, for formats that have no transparency. */
export function flattenOnWhite({ data }: RawPixels): void {
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3] as number;
    if (alpha === 255) continue;
    for (let channel = at; channel < at + 3; channel++) {
      data[channel] = Math.round(((data[channel] as number) * alpha + 255 * (255 - alpha)) / 255);
    }
    data[at + 3] = 255;
  }
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

function chunk(type: string, content: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(12 + content.length);
  bytes.writeUInt32BE(content.length, 0);
  bytes.write(type, 4, 'latin1');
  bytes.set(content, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + content.length)), 8 + content.length);
  return bytes;
}
