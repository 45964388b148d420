/**
 * Makes smaller pictures of pictures. Sources come from strangers: whatever they are, an outcome is answered, and neither this
 * process nor its event loop is held up.
 */
export interface Images {
  /**
   * Decodes, turns upright as EXIF says, resizes and encodes. The result carries no metadata but a colour profile. Of an
   * animation it shows the first frame.
   * @throws `server/busy` when too much of this work waits already.
   */
  render(source: Uint8Array, recipe: ImageRecipe): Promise<ImageOutcome<RenderedImage>>;
  /** The ThumbHash (https://evanw.github.io/thumbhash/) of a picture, base64. Throws as `render` does. */
  thumbhash(source: Uint8Array): Promise<ImageOutcome<string>>;
}

export const IMAGE_FITS = ['inside', 'cover', 'fill'] as const;
export const IMAGE_FORMATS = ['jpeg', 'png', 'webp'] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** Pixels; a picture is never enlarged. */
export interface ImageRecipe {
  /** `null`: as the height demands, or at most {@link MAX_IMAGE_SIDE} when that is open as well. */
  readonly width: number | null;
  readonly height: number | null;
  /** `inside`: all of it, within the box. `cover`: fills the box, cut at the centre. `fill`: stretched to the box. */
  readonly fit: (typeof IMAGE_FITS)[number];
  readonly format: ImageFormat;
  /** 1 to 100; PNG has none. */
  readonly quality: number;
}

/** Longest side of a picture that is made. */
export const MAX_IMAGE_SIDE = 2560;

export interface RenderedImage {
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export type ImageOutcome<Result> =
  | { readonly status: 'done'; readonly result: Result }
  /** No picture of a known kind, or a damaged one. */
  | { readonly status: 'unreadable' }
  /** More pixels than are worth decoding; judged by the header. */
  | { readonly status: 'too-many-pixels' }
  /** It took too long or too much memory, or the decoder died of it. */
  | { readonly status: 'too-costly' };
