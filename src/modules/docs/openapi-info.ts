/** What the document says of the API as a whole. */

/** Areas of the API by tag, in the order in which they are shown. */
const TAGS: Readonly<Record<string, string>> = {
  auth: 'Registering, signing in and out, and the account of the one who asks.',
  users: 'Accounts of everybody, for admins.',
  files: 'Keeping files: upload, list, read, change, delete.',
  uploads: 'Uploads that can be interrupted and go on where they stopped (tus 1.0.0).',
  backups: 'Backups of the system or of what one user owns.',
  sockets: 'Realtime messages.',
  cache: 'Looking into the cache, for admins.',
  parse: 'Taking apart HTML, CSS and JavaScript.',
  calls: "The site's own server functions.",
  plugins: 'What extends this server.',
  php: 'PHP.',
  logs: 'Log, metrics and alerts, for admins.',
  health: 'How the server and its parts are doing.',
  gateway: 'Pages of the server itself.',
  docs: 'This documentation.',
};

/** The tags in use, known ones first and in their order, with a description each. */
export function describeTags(used: ReadonlySet<string>) {
  const known = Object.keys(TAGS).filter((name) => used.has(name));
  const others = [...used].filter((name) => !Object.hasOwn(TAGS, name)).sort();
  return [...known, ...others].map((name) => ({ name, description: TAGS[name] ?? `Routes of ${name}.` }));
}

export function describeApi(version: string) {
  return {
    title: 'Bunkhouse API',
    version,
    description:
      'One backend for a web site. Bodies are JSON in camelCase, times are ISO 8601 in UTC, sizes are bytes. ' +
      'Failures are `application/problem+json` (RFC 9457); `code` names the kind and `/problems` explains each. ' +
      'Lists take `limit` and `cursor` and answer `items` and `nextCursor`.\n\n' +
      'To try the calls here, press **Authorize** and sign in with e-mail and password under `password`.',
    license: { name: 'MIT', identifier: 'MIT' },
  };
}

/** The ways to prove who is asking; routes refer to them by these names. */
export const SECURITY_SCHEMES = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'The `access_token` of a sign-in, or the server key.',
  },
  password: {
    type: 'oauth2',
    description: 'Signs in with e-mail and password (RFC 6749 §4.3). Client id and secret stay empty.',
    flows: { password: { tokenUrl: '/api/auth/token', refreshUrl: '/api/auth/token', scopes: {} } },
  },
  cookie: {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-bunkhouse',
    description: 'Set by a sign-in with `cookie: true`; for pages of this site.',
  },
} as const;
