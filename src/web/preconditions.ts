import { parseHttpDate, toHttpDate } from './http-date.ts';

/** The current validators of what a request is about. */
export interface Validators {
  /** Strong entity tag with its quotes (RFC 9110 §8.8.3). */
  readonly etag: string;
  /** Milliseconds since the epoch; compared by whole seconds. */
  readonly lastModified: number;
}

/**
 * Judges a GET or HEAD by its preconditions, in the order of RFC 9110 §13.2.2: `failed` is answered with 412,
 * `not-modified` with 304.
 */
export function judgePreconditions(
  headers: Headers,
  { etag, lastModified }: Validators,
): 'proceed' | 'failed' | 'not-modified' {
  const changedAt = toSeconds(lastModified);

  const ifMatch = headers.get('if-match');
  const ifUnmodifiedSince = dateOf(headers, 'if-unmodified-since');
  if (ifMatch !== null) {
    if (!listsTag(ifMatch, etag, 'strong')) return 'failed';
  } else if (ifUnmodifiedSince !== null && changedAt > ifUnmodifiedSince) return 'failed';

  const ifNoneMatch = headers.get('if-none-match');
  if (ifNoneMatch !== null) return listsTag(ifNoneMatch, etag, 'weak') ? 'not-modified' : 'proceed';
  const ifModifiedSince = dateOf(headers, 'if-modified-since');
  return ifModifiedSince !== null && changedAt <= ifModifiedSince ? 'not-modified' : 'proceed';
}

/** Whether `If-Range` lets the `Range` header stand (RFC 9110 §13.1.5): a strong tag or the very date we sent. */
export function isRangeCurrent(headers: Headers, { etag, lastModified }: Validators): boolean {
  const ifRange = headers.get('if-range')?.trim();
  return ifRange === undefined || ifRange === etag || ifRange === toHttpDate(lastModified);
}

/** Whether `*` or a list of entity tags names this strong tag; the weak comparison overlooks a leading `W/` (§8.8.3.2). */
function listsTag(list: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (list.trim() === '*') return true;
  for (const [, weakness, tag] of list.matchAll(/(W\/)?("[^"]*")/g)) {
    if (tag === etag && (comparison === 'weak' || weakness === undefined)) return true;
  }
  return false;
}

/** A date header in whole seconds; one that is no HTTP date is ignored (§13.1.3, §13.1.4). */
function dateOf(headers: Headers, name: string): number | null {
  const text = headers.get(name);
  const ms = text === null ? null : parseHttpDate(text.trim());
  return ms === null ? null : toSeconds(ms);
}

function toSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
