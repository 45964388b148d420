/**
 * The value of `Content-Disposition` (RFC 6266) for a file name that may be anything. Names that ASCII can carry safely
 * stand in `filename`; others get a likeness there and their true form in `filename*` (RFC 8187). What separates paths
 * or could end the header never appears in the plain form.
 */
export function contentDisposition(kind: 'inline' | 'attachment', name: string): string {
  const wellFormed = name.toWellFormed();
  const plain = wellFormed.replace(/[^\x20-\x7e]|["%/\\]/gu, '_');
  const quoted = `${kind}; filename="${plain}"`;
  return plain === wellFormed ? quoted : `${quoted}; filename*=UTF-8''${encodeExtended(wellFormed)}`;
}

/** `ext-value` of RFC 8187 §3.2.1: what is no `attr-char` is percent-encoded. */
function encodeExtended(text: string): string {
  return encodeURIComponent(text).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
