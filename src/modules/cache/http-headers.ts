import { dropForged, dropHopByHop } from '../../web/forwarding.ts';

/** A stored answer's header fields by lower-case name. */
export type StoredHeaders = Readonly<Record<string, string>>;

/** What a 304 does not change of the answer that it confirms (RFC 9111 §3.2): all that describes the stored bytes. */
const FIXED_BY_BODY = new Set(['content-length', 'content-encoding', 'content-range', 'content-md5', 'content-digest']);

/** Tags of an answer for purging; they are for the cache and not for clients. */
export const TAG_FIELDS = ['surrogate-key', 'xkey', 'cache-tags'] as const;

/** Methods in disguise: a GET that the origin takes for something else would be stored as the GET's answer. */
const METHOD_OVERRIDES = ['x-http-method', 'x-http-method-override', 'x-method-override'];

/** Removes, in place, what could make an origin answer a question that the cache key does not hold. */
export function dropPoison(headers: Headers): void {
  dropForged(headers);
  for (const name of METHOD_OVERRIDES) headers.delete(name);
}

/** An answer's fields as they are stored: what is for one hop, one client or this cache alone is left out. */
export function toStoredHeaders(headers: Headers, receivedAt: number): StoredHeaders {
  const kept = new Headers(headers);
  dropHopByHop(kept);
  kept.delete('set-cookie');
  // The age at which it came is part of the entry; it is told anew with each answer.
  kept.delete('age');
  for (const name of TAG_FIELDS) kept.delete(name);
  // RFC 9110 §6.6.1: who stores an answer without a date gives it the time at which it came.
  if (!kept.has('date')) kept.set('date', new Date(receivedAt).toUTCString());
  const stored: Record<string, string> = {};
  for (const [name, value] of kept) stored[name] = value;
  return stored;
}

/** The stored fields, brought up to date by a 304 (RFC 9111 §3.2). */
export function mergeNotModified(stored: StoredHeaders, fresh: StoredHeaders): StoredHeaders {
  const merged: Record<string, string> = { ...stored };
  for (const [name, value] of Object.entries(fresh)) if (!FIXED_BY_BODY.has(name)) merged[name] = value;
  return merged;
}
