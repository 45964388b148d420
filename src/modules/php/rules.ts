/** What of the document root is served, and what of it may run. Names are relative to the root. */
export interface PhpRules {
  /** Never served and never run: names that begin with a dot, and the prefixes of `PHP_DENY`. */
  isDenied(names: readonly string[]): boolean;
  /** Whether a `.php` file may run where it lies: not in folders that applications let their users write to. */
  mayRun(names: readonly string[]): boolean;
}

/** Folders for what users upload or programs generate, at any depth. */
const NEVER_RUN = new Set(['uploads', 'upload', 'files', 'images', 'img', 'cache', 'tmp']);

/** The only name beginning with a dot that is served, and only at the root (RFC 8615). */
const WELL_KNOWN = '.well-known';

/** @param denied prefixes such as `conf` or `wiki/data`, with or without slashes around them. */
export function createPhpRules(denied: readonly string[]): PhpRules {
  const prefixes = denied
    .map((prefix) => prefix.split('/').filter((name) => name !== ''))
    .filter(({ length }) => length > 0);
  return {
    isDenied: (names) =>
      names.some((name, index) => name.startsWith('.') && !(index === 0 && name === WELL_KNOWN)) ||
      prefixes.some((prefix) => prefix.every((name, index) => names[index] === name)),
    mayRun: (names) => !names.slice(0, -1).some((name) => NEVER_RUN.has(name)),
  };
}

/** Whether a file runs as PHP: bytes are compared, so that no folding of letters makes `.php` out of something else. */
export function isScript(name: string): boolean {
  return name.endsWith('.php');
}

/**
 * Whether a file holds PHP code that must never be sent as text: other spellings and extensions of PHP, what applications include, and
 * copies that editors leave.
 */
export function isSource(name: string): boolean {
  return /\.(?:php\d*|phps|phtml|phar|inc)(?:~|\.(?:bak|old|orig|save|swp|dist|tmp))?$/i.test(name);
}
