/** Addresses of a page, resolved as a browser does (HTML §2.4.3): against `<base>`, itself relative to where the page is from. */
export interface Addresses {
  /** The absolute address, or the text as it stands when it has nothing to stand on. Never throws. */
  resolve(address: string): string;
  /** The address of the page's own site; null when nobody says. */
  readonly origin: string | null;
}

export function createAddresses(pageUrl: string | null, baseHref: string | null): Addresses {
  const page = pageUrl === null ? null : URL.parse(pageUrl);
  const base = baseHref === null ? page : (URL.parse(baseHref.trim(), page?.href) ?? page);
  return {
    resolve(address) {
      const trimmed = address.trim();
      return (base ? URL.parse(trimmed, base.href) : URL.parse(trimmed))?.href ?? trimmed;
    },
    origin: page?.origin ?? base?.origin ?? null,
  };
}

/** The candidates of a `srcset` (HTML §4.8.4.2.1). */
export function readSrcset(value: string): readonly { readonly url: string; readonly descriptor: string }[] {
  const found: { url: string; descriptor: string }[] = [];
  let rest = withoutSeparators(value);
  while (rest !== '') {
    const url = /^\S+/.exec(rest)?.[0] as string;
    rest = rest.slice(url.length);
    const bare = url.replace(/,+$/, '');
    if (bare !== url) {
      found.push({ url: bare, descriptor: '' });
      rest = withoutSeparators(rest);
      continue;
    }
    const descriptor = /^(?:[^,(]|\([^)]*\))*/.exec(rest)?.[0] ?? '';
    rest = withoutSeparators(rest.slice(descriptor.length));
    found.push({ url, descriptor: descriptor.trim() });
  }
  return found;
}

function withoutSeparators(text: string): string {
  return text.replace(/^[\s,]+/, '');
}
