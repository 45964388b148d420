import { type Static, t } from 'elysia';
import { IMAGE_FITS, IMAGE_FORMATS, type ImageFormat, type ImageRecipe, MAX_IMAGE_SIDE } from '../../ports/images.ts';
import { oneOf } from '../../web/schemas.ts';

const DEFAULT_QUALITY = 80;
const QUALITY_STEP = 5;
/** Sides that pictures are made in: the usual ones, and others no more than a third apart. */
const STEPS = [
  16,
  24,
  32,
  48,
  64,
  80,
  96,
  100,
  128,
  150,
  160,
  192,
  200,
  240,
  256,
  300,
  320,
  400,
  480,
  500,
  512,
  600,
  640,
  720,
  768,
  800,
  960,
  1000,
  1024,
  1200,
  1280,
  1440,
  1600,
  1920,
  2048,
  MAX_IMAGE_SIDE,
];

/** What `GET /api/files/:id/image` may be asked. */
export const ImageQuery = t.Object({
  width: t.Optional(t.Integer({ minimum: 1, maximum: 100_000, description: 'Pixels; rounded up to the next step.' })),
  height: t.Optional(t.Integer({ minimum: 1, maximum: 100_000, description: 'Pixels; rounded up to the next step.' })),
  fit: t.Optional(oneOf(IMAGE_FITS)),
  format: t.Optional(oneOf(IMAGE_FORMATS)),
  quality: t.Optional(
    t.Integer({ minimum: 1, maximum: 100, description: 'Of JPEG and WebP; rounded up to a multiple of 5.' }),
  ),
});

/**
 * The picture that is meant, out of a bounded number of them: equal wishes, and those that differ by less than a step, are one
 * recipe.
 *
 * @param accept the `Accept` header, which decides when no format is asked for.
 */
export function toRecipe(query: Static<typeof ImageQuery>, sourceType: string, accept: string | null): ImageRecipe {
  const { width, height, fit = 'inside', quality = DEFAULT_QUALITY } = query;
  const format = query.format ?? chooseFormat(sourceType, accept);
  return {
    width: width === undefined ? null : stepUp(width),
    height: height === undefined ? null : stepUp(height),
    // With one side open there is nothing to cut or to stretch.
    fit: width === undefined || height === undefined ? 'inside' : fit,
    format,
    quality: format === 'png' ? 100 : Math.ceil(quality / QUALITY_STEP) * QUALITY_STEP,
  };
}

/** The recipe as a text: one for each picture that may differ. */
export function recipeKey({ width, height, fit, format, quality }: ImageRecipe): string {
  return `${fit}-${width ?? ''}x${height ?? ''}-${quality}.${format}`;
}

/** WebP for those who say that they take it; else what the source is, or PNG, which keeps every pixel. */
function chooseFormat(sourceType: string, accept: string | null): ImageFormat {
  if (accepts(accept, 'image/webp')) return 'webp';
  return sourceType === 'image/jpeg' ? 'jpeg' : 'png';
}

/** Whether a media type is listed by its own name and not with `q=0` (RFC 9110 §12.5.1). */
function accepts(accept: string | null, type: string): boolean {
  for (const range of (accept ?? '').split(',')) {
    const [name, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (name === type) return !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  }
  return false;
}

function stepUp(side: number): number {
  return STEPS.find((step) => step >= side) ?? MAX_IMAGE_SIDE;
}
