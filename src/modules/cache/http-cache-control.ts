/** Directives by lower-case name; `true` where one has no argument. A `Map`, so that no name can reach a prototype. */
export type Directives = ReadonlyMap<string, string | true>;

/** More than any honest field has; what lies behind is not looked at. */
const MAX_FIELD_LENGTH = 4096;
/** RFC 9111 §1.2.2: a delta too large is taken as 2^31. */
const MAX_DELTA_SECONDS = 2 ** 31;
const DIRECTIVE =
  /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"?|([^,]*)))?[^,]*(?:,|$)|[^,]*(?:,|$)/gsy;

/**
 * Reads `Cache-Control` (RFC 9111 §5.2). Takes what it understands and steps over the rest; what stands inside a quoted string is
 * never a directive. Of a directive that comes twice the first counts (§4.2.1).
 */
export function parseCacheControl(field: string | null | undefined): Directives {
  const directives = new Map<string, string | true>();
  if (!field) return directives;
  const text = field.slice(0, MAX_FIELD_LENGTH);
  DIRECTIVE.lastIndex = 0;
  while (DIRECTIVE.lastIndex < text.length) {
    const match = DIRECTIVE.exec(text);
    if (!match) break;
    const name = match[1]?.toLowerCase();
    if (name === undefined || directives.has(name)) continue;
    directives.set(name, match[2]?.replace(/\\(.)/gs, '$1') ?? match[3]?.trim() ?? true);
  }
  return directives;
}

/**
 * A directive's seconds (RFC 9111 §1.2.2). `null` when it is absent; 0, which is stale, when it is there and no number: invalid
 * freshness information is best taken as stale (§4.2.1).
 */
export function deltaSeconds(directives: Directives, name: string): number | null {
  const value = directives.get(name);
  if (value === undefined) return null;
  return value !== true && /^\d+$/.test(value) ? Math.min(Number(value), MAX_DELTA_SECONDS) : 0;
}
