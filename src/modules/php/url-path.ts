/**
 * The part of a URL path below the mount, decoded once. `null` for what could be read in two ways: malformed or non-UTF-8
 * percent-encoding, control characters (a newline in PATH_INFO was CVE-2019-11043, a NUL ends a name in C), backslashes, and slashes
 * that were encoded.
 */
export function decodePhpPath(path: string): PhpPath | null {
  const segments: string[] = [];
  for (const encoded of path.split('/')) {
    // Slashes in a row count as one, as with every web server that PHP people know.
    if (encoded === '') continue;
    const name = decodeName(encoded);
    if (name === null) return null;
    segments.push(name);
  }
  return { segments, isDirectory: path.endsWith('/') };
}

export interface PhpPath {
  /** Names from the mount downwards. */
  readonly segments: readonly string[];
  /** Whether the path ends with a slash. */
  readonly isDirectory: boolean;
}

/** The path of a URL that says the same, in one spelling only; never one that a browser takes for another host. */
export function encodePhpPath(segments: readonly string[]): string {
  return segments.map((name) => `/${encodeURIComponent(name)}`).join('');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const FORBIDDEN = /[/\\\x00-\x1f\x7f]/;

function decodeName(encoded: string): string | null {
  try {
    const name = encoded.includes('%') ? decodeURIComponent(encoded) : encoded;
    return name === '.' || name === '..' || FORBIDDEN.test(name) ? null : name;
  } catch {
    return null;
  }
}
