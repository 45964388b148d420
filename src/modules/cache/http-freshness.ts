import { parseHttpDate } from '../../web/http-date.ts';
import { type Directives, deltaSeconds } from './http-cache-control.ts';

interface Fields {
  get(name: string): string | null;
}

/** How long an answer is fresh, and who said so. */
export interface Lifetime {
  readonly seconds: number;
  /** `rule`, `s-maxage`, `max-age`, `x-accel-expires`, `expires`, with the field in front when it is a targeted one; `none`. */
  readonly source: string;
}

const MAX_AGE_SECONDS = 2 ** 31;

/**
 * The freshness lifetime of an answer (RFC 9111 §4.2.1), never guessed from `Last-Modified`.
 *
 * @param isTargeted `Expires` and `X-Accel-Expires` count for nothing then (RFC 9213 §2.2).
 */
export function lifetimeOf(
  headers: Fields,
  {
    directives,
    isTargeted,
    field,
  }: { readonly directives: Directives; readonly isTargeted: boolean; readonly field: string },
  receivedAt: number,
): Lifetime {
  const prefix = isTargeted ? `${field} ` : '';
  const accel = isTargeted ? null : accelExpires(headers.get('x-accel-expires'), receivedAt);
  if (accel !== null) return { seconds: accel, source: 'x-accel-expires' };
  for (const name of ['s-maxage', 'max-age'] as const) {
    const seconds = deltaSeconds(directives, name);
    if (seconds !== null) return { seconds, source: prefix + name };
  }
  const expires = isTargeted ? null : headers.get('expires');
  if (expires === null) return { seconds: 0, source: 'none' };
  // RFC 9111 §5.3: an invalid date, 0 above all, means already expired.
  const expiresAt = parseDate(expires);
  const date = parseDate(headers.get('date') ?? '') ?? receivedAt;
  return { seconds: expiresAt === null ? 0 : Math.max(0, Math.floor((expiresAt - date) / 1000)), source: 'expires' };
}

/**
 * The age that an answer had when it came, in seconds (RFC 9111 §4.2.3). Of several `Age` values the first counts, and one that is
 * no whole number is ignored (§5.1).
 */
export function initialAge(headers: Fields, requestedAt: number, receivedAt: number): number {
  const date = parseDate(headers.get('date') ?? '');
  const apparent = date === null ? 0 : Math.max(0, (receivedAt - date) / 1000);
  const first = headers.get('age')?.split(',', 1)[0]?.trim() ?? '';
  const stated = /^\d+$/.test(first) ? Math.min(Number(first), MAX_AGE_SECONDS) : 0;
  return Math.max(apparent, stated + (receivedAt - requestedAt) / 1000);
}

/** Whether an answer says how long it is fresh (RFC 9111 §3). */
export function hasExplicitLifetime(headers: Fields, directives: Directives, isTargeted: boolean): boolean {
  if (directives.has('max-age') || directives.has('s-maxage')) return true;
  return !isTargeted && (headers.get('expires') !== null || headers.get('x-accel-expires') !== null);
}

/** nginx's own field: seconds, `@` and a point in time, or 0 for not at all. */
function accelExpires(value: string | null, now: number): number | null {
  const match = /^(@?)(\d{1,12})$/.exec(value?.trim() ?? '');
  if (!match) return null;
  const number = Number(match[2]);
  return match[1] === '@' ? Math.max(0, number - Math.floor(now / 1000)) : number;
}

/** The names in a date are taken in any case (RFC 9111 §4.2: be lenient in parsing validators and dates). */
function parseDate(text: string): number | null {
  const value = text.trim();
  return parseHttpDate(value) ?? parseHttpDate(toCanonicalCase(value));
}

function toCanonicalCase(date: string): string {
  return date.replace(/[A-Za-z]+/g, (word) =>
    /^gmt$/i.test(word) ? 'GMT' : word.slice(0, 1).toUpperCase() + word.slice(1).toLowerCase(),
  );
}
