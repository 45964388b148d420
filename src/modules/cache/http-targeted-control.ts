import { type Directives, parseCacheControl } from './http-cache-control.ts';

/** Fields that speak to this cache rather than to every cache, most wanted first (RFC 9213 §2.2). */
export const TARGETED_FIELDS = ['bunkhouse-cache-control', 'cdn-cache-control'] as const;

export interface CacheControl {
  readonly directives: Directives;
  /** The field that decides. A targeted one makes `Cache-Control` and `Expires` count for nothing here (RFC 9213 §2.2). */
  readonly field: (typeof TARGETED_FIELDS)[number] | 'cache-control';
}

/** What an answer says to this cache: the first targeted field that is valid and not empty, else `Cache-Control`. */
export function cacheControlOf(headers: { get(name: string): string | null }): CacheControl {
  for (const field of TARGETED_FIELDS) {
    const text = headers.get(field);
    if (text === null) continue;
    const directives = parseDictionary(text);
    if (directives && directives.size > 0) return { directives, field };
  }
  return { directives: parseCacheControl(headers.get('cache-control')), field: 'cache-control' };
}

const MAX_FIELD_LENGTH = 4096;
const KEY = /[a-z*][a-z0-9_.*-]*/y;
const BARE_ITEM =
  /-?\d{1,15}(?:\.\d{1,3})?|"(?:[ !#-[\]-~]|\\["\\])*"|[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*|:[A-Za-z0-9+/=]*:|\?[01]/y;
const PARAMETER = / *; *[a-z*][a-z0-9_.*-]*/y;
const NEXT_MEMBER = /[ \t]*,[ \t]*/y;
/** Directives that count seconds: as a structured field they are Integers, and of another type they are ignored (RFC 9213 §2.1). */
const SECONDS = new Set(['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error']);

/**
 * A Dictionary Structured Field (RFC 9651 §3.2) of directives. `null` when it does not parse, which makes the whole field count as
 * absent (RFC 9213 §2.1). The last of several equal keys counts, parameters mean nothing.
 */
function parseDictionary(field: string): Directives | null {
  if (field.length > MAX_FIELD_LENGTH) return null;
  const text = field.replace(/^ +| +$/g, '');
  const members = new Map<string, string | true>();
  let at = 0;
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) return null;
    at += found.length;
    return found;
  };
  while (at < text.length) {
    const key = take(KEY);
    if (key === null) return null;
    let value: string | true = true;
    if (text[at] === '=') {
      at++;
      const item = take(BARE_ITEM);
      if (item === null) return null;
      value = item;
    }
    while (take(PARAMETER) !== null) {
      if (text[at] !== '=') continue;
      at++;
      if (take(BARE_ITEM) === null) return null;
    }
    if (value === '?0') members.delete(key);
    else if (!SECONDS.has(key) || (value !== true && /^-?\d+$/.test(value)))
      members.set(key, value === '?1' ? true : value);
    if (at === text.length) break;
    if (take(NEXT_MEMBER) === null || at === text.length) return null;
  }
  return members;
}
