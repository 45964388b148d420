/** Answers that differ by these are as many as there are clients: keeping them would only push others out. */
const HOPELESS = new Set(['cookie', 'authorization', 'user-agent']);
const MAX_NAMES = 8;
const MAX_VARIANT_LENGTH = 2048;
/** Encodings that answers are worth keeping apart by; a client's other wishes are not passed on. */
const ENCODINGS = ['br', 'gzip', 'zstd'] as const;
/** Where they stand in a list without weights, as browsers send it. */
const LISTED = ENCODINGS.map(
  (name) => [name, new RegExp(`(?:^|,)\\s*${name === 'gzip' ? '(?:x-)?' : ''}${name}\\s*(?:,|$)`, 'i')] as const,
);

interface Fields {
  get(name: string): string | null;
}

/** The names in `Vary`, lower case and sorted, or why no request could be known to match (RFC 9111 §4.1). */
export function varyOf(field: string | null): { readonly names: readonly string[] } | { readonly refused: string } {
  if (field === null) return { names: [] };
  const names = new Set<string>();
  for (const item of field.split(',')) {
    const name = item.trim().toLowerCase();
    if (name === '') continue;
    if (name === '*') return { refused: 'vary: * matches no request' };
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) return { refused: 'vary names something that is no field' };
    if (HOPELESS.has(name)) return { refused: `it varies by ${name}` };
    names.add(name);
  }
  if (names.size > MAX_NAMES) return { refused: 'it varies by too many fields' };
  return { names: [...names].sort() };
}

/**
 * What the request says in the fields of `Vary`, in normal form: requests that agree may share an answer. `null` when it says more
 * than is kept. An absent field differs from an empty one.
 */
export function variantOf(names: readonly string[], headers: Fields): string | null {
  let variant = '';
  for (const name of names) {
    const value = headers.get(name);
    variant += `${name}${value === null ? '' : `=${normalize(name, value)}`}\n`;
  }
  return variant.length > MAX_VARIANT_LENGTH ? null : variant;
}

/** `Accept-Encoding` as it is sent to origins and compared: which of the common encodings are accepted, in one order. */
export function normalizeEncodings(field: string | null): string {
  if (field === null) return '';
  if (!/[;*]/.test(field)) {
    return LISTED.filter(([, listed]) => listed.test(field))
      .map(([name]) => name)
      .join(', ');
  }
  const accepted = new Set<string>();
  const refused = new Set<string>();
  for (const item of field.toLowerCase().split(',')) {
    const [coding = '', ...parameters] = item.split(';').map((part) => part.trim());
    const isRefused = parameters.some((parameter) => /^q\s*=\s*0(?:\.0*)?$/.test(parameter));
    (isRefused ? refused : accepted).add(coding === 'x-gzip' ? 'gzip' : coding);
  }
  return ENCODINGS.filter(
    (name) => !refused.has(name) && (accepted.has(name) || (accepted.has('*') && name === 'gzip')),
  ).join(', ');
}

function normalize(name: string, value: string): string {
  if (name === 'accept-encoding') return normalizeEncodings(value);
  const list = joinList(value);
  // Language ranges are the same in any case (RFC 4647 §2). Their order stays: servers take it for a preference.
  return name === 'accept-language' ? list.toLowerCase().replaceAll(' ', '') : list;
}

/** A list field without blanks around its members (RFC 9110 §5.6.1); commas inside quoted strings part nothing. */
function joinList(value: string): string {
  return value.replace(/("(?:[^"\\]|\\.)*")|\s*(,)\s*|(\s+)/gs, (_all, quoted, comma) => quoted ?? comma ?? ' ').trim();
}
