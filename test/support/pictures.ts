import { crc32, deflateSync } from 'node:zlib';

/** Pictures for tests, made here so that each is what its name says. */

type Colour = readonly [red: number, green: number, blue: number, alpha?: number];

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

function chunk(type: string, content: Uint8Array): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(12 + content.length);
  bytes.writeUInt32BE(content.length, 0);
  bytes.write(type, 4, 'latin1');
  bytes.set(content, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + content.length)), 8 + content.length);
  return bytes;
}

function pngOf(
  width: number,
  height: number,
  depth: number,
  colourType: number,
  rows: Uint8Array,
): Buffer<ArrayBuffer> {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colourType, 0, 0, 0], 8);
  const end = chunk('IEND', new Uint8Array(0));
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), end]);
}

/** RGBA, 8 bit. */
export function png(width: number, height: number, at: (x: number, y: number) => Colour): Buffer<ArrayBuffer> {
  const rows = Buffer.alloc((width * 4 + 1) * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [red, green, blue, alpha = 255] = at(x, y);
      rows.set([red, green, blue, alpha], y * (width * 4 + 1) + 1 + x * 4);
    }
  }
  return pngOf(width, height, 8, 6, rows);
}

/** Left half red, right half blue. */
export function halves(width: number, height: number): Buffer<ArrayBuffer> {
  return png(width, height, (x) => (x < width / 2 ? [255, 0, 0] : [0, 0, 255]));
}

/** Noise, which no encoder makes small; the same each time. */
export function noise(width: number, height: number): Buffer<ArrayBuffer> {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 24;
  };
  return png(width, height, () => [next(), next(), next()]);
}

/** A few bytes that say they are that many pixels, one bit each. */
export function bomb(width: number, height: number): Buffer<ArrayBuffer> {
  return pngOf(width, height, 1, 0, Buffer.alloc(Math.min((Math.ceil(width / 8) + 1) * height, 100 * 2 ** 20)));
}

export async function jpeg(source: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Bun.Image(source).jpeg({ quality: 95 }).bytes());
}

/** A JPEG with an EXIF block: an orientation (EXIF 2.32 §4.6.4, tag 0x0112) and a text as a camera's position would stand there. */
export function withExif(picture: Uint8Array, orientation: number, text: string): Buffer<ArrayBuffer> {
  const tiff = Buffer.alloc(26);
  tiff.write('MM', 0, 'latin1');
  tiff.writeUInt16BE(42, 2);
  tiff.writeUInt32BE(8, 4);
  tiff.writeUInt16BE(1, 8);
  tiff.writeUInt16BE(0x0112, 10);
  tiff.writeUInt16BE(3, 12);
  tiff.writeUInt32BE(1, 14);
  tiff.writeUInt16BE(orientation, 18);
  const body = Buffer.concat([Buffer.from('Exif\0\0'), tiff, Buffer.from(text)]);
  const marker = Buffer.from([0xff, 0xe1, (body.length + 2) >> 8, (body.length + 2) & 0xff]);
  return Buffer.concat([picture.subarray(0, 2), marker, body, picture.subarray(2)]);
}

/** Two frames of one pixel: the first red, the second blue. */
export const ANIMATED_GIF = Buffer.from(
  '47494638396101000100800100ff00000000ff21ff0b4e45545343415045322e30030100000021f904000a0000002c00000000010001000002024401' +
    '0021f904000a0000002c0000000001000100000202' +
    '4c01003b',
  'hex',
);

/** A GIF whose comment is a script. */
export const POLYGLOT = Buffer.concat([
  ANIMATED_GIF.subarray(0, -1),
  Buffer.from('21fe', 'hex'),
  Buffer.from([20]),
  Buffer.from('<script>x=1</script>'),
  Buffer.from('003b', 'hex'),
]);

/** What a picture shows at some places, each from 0 to 1 of its width and height. */
export async function coloursAt(
  picture: Uint8Array,
  ...places: readonly (readonly [number, number])[]
): Promise<number[][]> {
  const decoded = Buffer.from(await new Bun.Image(picture).png({ compressionLevel: 0 }).bytes());
  const { inflateSync } = await import('node:zlib');
  const parts: Buffer[] = [];
  let [width, height] = [0, 0];
  for (let at = 8; at < decoded.length; at += 12 + decoded.readUInt32BE(at)) {
    const type = decoded.toString('latin1', at + 4, at + 8);
    if (type === 'IHDR') [width, height] = [decoded.readUInt32BE(at + 8), decoded.readUInt32BE(at + 12)];
    if (type === 'IDAT') parts.push(decoded.subarray(at + 8, at + 8 + decoded.readUInt32BE(at)));
  }
  const rows = inflateSync(Buffer.concat(parts));
  return places.map(([x, y]) => {
    const start = Math.floor(y * (height - 1)) * (width * 4 + 1) + 1 + Math.floor(x * (width - 1)) * 4;
    return [...rows.subarray(start, start + 4)];
  });
}

export async function sizeOf(picture: Uint8Array): Promise<string> {
  const { width, height } = await new Bun.Image(picture).metadata();
  return `${width}x${height}`;
}
