/** What a `Cookie` header holds beside one cookie (RFC 6265 §4.2.1); empty when that is all. */
export function withoutCookie(header: string, name: string): string {
  if (!header.includes(name)) return header;
  return header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.split('=', 1)[0]?.trimEnd() !== name)
    .join('; ');
}
