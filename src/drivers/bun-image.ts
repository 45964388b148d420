import { rgbaToThumbHash } from 'thumbhash';
import { type ImageOutcome, type ImageRecipe, MAX_IMAGE_SIDE, type RenderedImage } from '../ports/images.ts';
import { flattenOnWhite, type PixelSize, readPixels, toPng } from './raw-pixels.ts';

/** What a child that works on pictures is asked for. */
export type ImageJob =
  | { readonly kind: 'render'; readonly source: Uint8Array; readonly recipe: ImageRecipe }
  | { readonly kind: 'thumbhash'; readonly source: Uint8Array };
export type ImageJobResult = ImageOutcome<RenderedImage | string>;

/** Four bytes a pixel while it is decoded: 200 MB. Telephones make pictures of up to 50 million pixels. */
const MAX_PIXELS = 50_000_000;
/** Of what is held uncompressed to be cut. */
const MAX_RAW_PIXELS = 12_000_000;
/** Formats that are read; on some systems Bun knows more, by codecs of the system. */
const READABLE = ['jpeg', 'png', 'webp', 'gif', 'bmp'];
/** ThumbHash takes at most 100 pixels a side. */
const HASHED_SIDE = 100;

/** Works on one picture with `Bun.Image`. Meant for a child process, since it computes, and decoders may die. */
export async function workOnImage(job: ImageJob): Promise<ImageJobResult> {
  try {
    const open = () => new Bun.Image(job.source, { maxPixels: MAX_PIXELS, autoOrient: true });
    // Reads the header only. The size is that of the upright picture.
    const { format, ...size } = await open().metadata();
    if (!READABLE.includes(format)) return { status: 'unreadable' };
    const result = job.kind === 'render' ? await render(open(), size, format, job.recipe) : await hash(open(), size);
    return result === null ? { status: 'too-many-pixels' } : { status: 'done', result };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ERR_IMAGE_TOO_MANY_PIXELS') return { status: 'too-many-pixels' };
    if (code.startsWith('ERR_IMAGE_')) return { status: 'unreadable' };
    throw error;
  }
}

async function render(source: Bun.Image, size: PixelSize, sourceFormat: string, recipe: ImageRecipe) {
  const { scaled, cut } = planSizes(size, recipe);
  const resized = resize(source, size, scaled);
  const isCut = cut.width !== scaled.width || cut.height !== scaled.height;
  // A JPEG has no transparency, and Bun would show what is hidden under it.
  const isFlattened = recipe.format === 'jpeg' && sourceFormat !== 'jpeg';
  if (!isCut && !isFlattened) return { bytes: await encode(resized, recipe), ...cut };
  if (scaled.width * scaled.height > MAX_RAW_PIXELS) return null;
  const pixels = await readPixels(resized, cut);
  if (isFlattened) flattenOnWhite(pixels);
  return { bytes: await encode(new Bun.Image(toPng(pixels)), recipe), ...cut };
}

async function hash(source: Bun.Image, size: PixelSize): Promise<string> {
  const { scaled } = planSizes(size, { width: HASHED_SIDE, height: HASHED_SIDE, fit: 'inside' });
  const { width, height, data } = await readPixels(resize(source, size, scaled));
  return Buffer.from(rgbaToThumbHash(width, height, data)).toString('base64');
}

function resize(image: Bun.Image, from: PixelSize, to: PixelSize): Bun.Image {
  return from.width === to.width && from.height === to.height ? image : image.resize(to.width, to.height);
}

function encode(image: Bun.Image, { format, quality }: ImageRecipe): Promise<Uint8Array> {
  switch (format) {
    case 'jpeg':
      return image.jpeg({ quality }).bytes();
    case 'webp':
      return image.webp({ quality }).bytes();
    case 'png':
      return image.png().bytes();
  }
}

/** The size to scale to, and what is then cut out of its middle. Nothing is enlarged: a box that is too large shrinks. */
export function planSizes(
  size: PixelSize,
  { width, height, fit }: Pick<ImageRecipe, 'width' | 'height' | 'fit'>,
): { readonly scaled: PixelSize; readonly cut: PixelSize } {
  if (fit === 'inside' || width === null || height === null) {
    const box = { width: width ?? MAX_IMAGE_SIDE, height: height ?? MAX_IMAGE_SIDE };
    const scale = Math.min(1, box.width / size.width, box.height / size.height);
    const scaled = { width: toSide(size.width * scale), height: toSide(size.height * scale) };
    return { scaled, cut: scaled };
  }
  if (fit === 'fill') {
    const scaled = { width: Math.min(width, size.width), height: Math.min(height, size.height) };
    return { scaled, cut: scaled };
  }
  const scale = Math.max(width / size.width, height / size.height);
  const shrink = Math.max(1, scale);
  const cut = { width: toSide(width / shrink), height: toSide(height / shrink) };
  const scaled = {
    width: Math.max(cut.width, toSide((size.width * scale) / shrink)),
    height: Math.max(cut.height, toSide((size.height * scale) / shrink)),
  };
  return { scaled, cut };
}

function toSide(length: number): number {
  return Math.max(1, Math.round(length));
}
