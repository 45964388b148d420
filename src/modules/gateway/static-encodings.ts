/** Encodings that files are sent in, the one that we would rather send first. */
export const CODINGS = ['br', 'zstd', 'gzip'] as const;
export type Coding = (typeof CODINGS)[number];

/** Longest `Accept-Encoding` that is looked at. */
const MAX_FIELD_LENGTH = 1024;

/**
 * The encodings of `offered` that a client takes rather than the plain file, best first (RFC 9110 §12.5.3): by its weights, then by
 * ours. Whoever names none gets the plain file, and so does whoever refuses it and takes nothing else.
 */
export function preferredCodings(field: string | null, offered: readonly Coding[]): Coding[] {
  if (field === null || offered.length === 0 || field.length > MAX_FIELD_LENGTH) return [];
  const weights = new Map<string, number>();
  for (const item of field.toLowerCase().split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
    if (name !== '') weights.set(name === 'x-gzip' ? 'gzip' : name, weightOf(parameters));
  }
  const plain = weights.get('identity') ?? 0;
  const weigh = (coding: string) => weights.get(coding) ?? weights.get('*') ?? 0;
  return CODINGS.filter((coding) => offered.includes(coding) && weigh(coding) > 0 && weigh(coding) >= plain).sort(
    (a, b) => weigh(b) - weigh(a),
  );
}

/** A weight (RFC 9110 §12.4.2); one that is none counts as 1. */
function weightOf(parameters: readonly string[]): number {
  const text = parameters.find((parameter) => /^q\s*=/.test(parameter))?.replace(/^q\s*=\s*/, '');
  return text !== undefined && /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : 1;
}

/** Types that shrink; what is packed already (images, video, archives, woff2) does not. */
export function isCompressible(mediaType: string): boolean {
  return /^(?:text\/|application\/(?:json|ld\+json|manifest\+json|xml|rss\+xml|atom\+xml|wasm|javascript)|image\/svg\+xml|font\/[ot]tf)/.test(
    mediaType,
  );
}
