import type { ByteRange } from '../ports/object-store.ts';

/** What a `Range` header asks of a representation. */
export type RangeRequest =
  /** Not a range request, or one that is to be ignored: send everything. */
  | { readonly kind: 'whole' }
  /** None of the ranges lies inside: 416. */
  | { readonly kind: 'unsatisfiable' }
  /** One or more ranges, cut to the size; overlapping and adjoining ones are joined. */
  | { readonly kind: 'parts'; readonly ranges: readonly [ByteRange, ...ByteRange[]] };

/** Most parts that one answer has. */
const MAX_PARTS = 16;
/** Longest header that is looked at; a header that asks for more than {@link MAX_PARTS} may stop earlier. */
const MAX_HEADER_LENGTH = 4096;
const SPEC = /^(?:(\d+)-(\d*)|-(\d+))$/;
const WHOLE: RangeRequest = { kind: 'whole' };

/**
 * Reads a `Range` header for a representation of `size` bytes (RFC 9110 §14.2). Anything that is not a valid set of byte
 * ranges is ignored, as §14.2 asks; so are sets that cost more than they save (§17.15): too many parts, or more bytes
 * in all than the whole.
 */
export function parseRange(header: string, size: number): RangeRequest {
  if (header.length > MAX_HEADER_LENGTH || !/^bytes=/i.test(header)) return WHOLE;
  const found: ByteRange[] = [];
  let specCount = 0;
  let totalBytes = 0;
  for (const element of header.slice('bytes='.length).split(',')) {
    const text = element.trim();
    // Empty list elements are allowed and mean nothing (RFC 9110 §5.6.1.2).
    if (text === '') continue;
    const spec = SPEC.exec(text);
    if (!spec) return WHOLE;
    specCount++;
    const range = spec[3] === undefined ? toRange(spec[1] as string, spec[2] as string, size) : suffix(spec[3], size);
    if (range === 'invalid') return WHOLE;
    if (range === null) continue;
    found.push(range);
    totalBytes += range.last - range.first + 1;
  }
  if (specCount === 0) return WHOLE;
  if (found.length === 0) return { kind: 'unsatisfiable' };
  // A suffix of nothing is satisfiable (§14.1.2), but Content-Range cannot express it.
  if (size === 0 || totalBytes > size) return WHOLE;
  const ranges = joinOverlaps(found);
  return ranges.length > MAX_PARTS ? WHOLE : { kind: 'parts', ranges: ranges as [ByteRange, ...ByteRange[]] };
}

/** `first-last` or `first-`. `null` when it begins past the end; a last before its first is invalid (§14.1.1). */
function toRange(firstText: string, lastText: string, size: number): ByteRange | null | 'invalid' {
  const first = toInteger(firstText);
  const last = lastText === '' ? Number.MAX_SAFE_INTEGER : toInteger(lastText);
  if (last < first) return 'invalid';
  return first >= size ? null : { first, last: Math.min(last, size - 1) };
}

/** `-length`: the last so many bytes. */
function suffix(lengthText: string, size: number): ByteRange | null {
  const length = toInteger(lengthText);
  return length === 0 ? null : { first: Math.max(0, size - length), last: size - 1 };
}

/** Digits as a number; what is past the exact integers is as good as endless. */
function toInteger(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}

/** Joins ranges that overlap or adjoin (§15.3.7.2). Keeps the order that was asked for when none do. */
function joinOverlaps(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const joined: { first: number; last: number }[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = joined.at(-1);
    if (before && range.first <= before.last + 1) before.last = Math.max(before.last, range.last);
    else joined.push({ ...range });
  }
  return joined.length === ranges.length ? ranges : joined;
}
