/**
 * From the path of a URL to the names below PUBLIC_DIR that it means. Whatever could be read in two ways is refused
 * rather than repaired: a refused path is simply not a file of ours.
 */
export interface StaticPath {
  /** Decoded names from the root downwards; empty for the root itself. */
  readonly segments: readonly string[];
  /** Whether the path ends with a slash and so means a directory. */
  readonly isDirectory: boolean;
}

/** The only name starting with a dot that is served, and only at the root (RFC 8615). */
const WELL_KNOWN = '.well-known';

/**
 * Decodes a path strictly. `null` for malformed percent-encoding, for a separator or control character inside a name
 * in any encoding, for `.` and `..`, for empty names (`//`) and for names that start with a dot.
 *
 * Decoding happens once: `%252e` is the four characters `%2e` in a file name, never a dot.
 */
export function decodeStaticPath(path: string): StaticPath | null {
  if (!path.startsWith('/')) return null;
  const raw = path.slice(1).split('/');
  const isDirectory = raw.at(-1) === '';
  if (isDirectory) raw.pop();

  const segments: string[] = [];
  for (const encoded of raw) {
    const name = decodeName(encoded);
    if (name === null) return null;
    if (name.startsWith('.') && !(name === WELL_KNOWN && segments.length === 0)) return null;
    segments.push(name);
  }
  return { segments, isDirectory };
}

function decodeName(encoded: string): string | null {
  let name: string;
  try {
    name = decodeURIComponent(encoded);
  } catch {
    return null;
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return name === '' || /[/\\\x00-\x1f\x7f]/.test(name) ? null : name;
}
