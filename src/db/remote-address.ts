/** Where a libSQL server answers, without any secret in it. */
export interface RemoteAddress {
  /** `http:` or `https:`, its path ending with a slash, no query. */
  readonly url: URL;
  /** From the address' own `?authToken=`; null when it has none. */
  readonly authToken: string | null;
}

const SCHEMES: Readonly<Record<string, 'http:' | 'https:'>> = {
  'http:': 'http:',
  'https:': 'https:',
  'ws:': 'http:',
  'wss:': 'https:',
  'libsql:': 'https:',
};

/**
 * Reads the address of a libSQL server. `ws` and `wss` are spoken to over HTTP, which a server offers at the same address:
 * `docs/databases.md` says why. `libsql:` means TLS unless `?tls=0` with a port.
 * @throws TypeError that says what is wrong and repeats nothing of the address.
 */
export function parseRemoteAddress(text: string): RemoteAddress {
  const given = URL.canParse(text) ? new URL(text) : null;
  const scheme = given && SCHEMES[given.protocol];
  if (!given || !scheme) {
    throw new TypeError('the address of a remote database starts with libsql:, https:, http:, wss: or ws:');
  }
  // A scheme that browsers do not know is not parsed for a host, and its protocol cannot be replaced.
  const rest = given.href.slice(given.protocol.length);
  const isPlain = given.protocol === 'libsql:' && given.searchParams.get('tls') === '0';
  const address = `${isPlain ? 'http:' : scheme}${rest}`;
  if (!/^https?:\/\/[^/]/.test(address) || !URL.canParse(address)) {
    throw new TypeError('the address of a remote database names a host: scheme://host[:port]');
  }
  const url = new URL(address);
  if (url.username !== '' || url.password !== '') {
    throw new TypeError('the token of a remote database belongs into its own setting, not before the host');
  }
  if (isPlain && url.port === '') throw new TypeError('a libsql: address with ?tls=0 needs a port');
  const authToken = url.searchParams.get('authToken');
  url.search = '';
  url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return { url, authToken };
}
