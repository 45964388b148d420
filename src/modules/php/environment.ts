import { AddressMap } from '../../kernel/address-map.ts';
import type { Caller } from '../../kernel/caller.ts';
import type { PhpParams, PhpRequest } from '../../ports/php-pool.ts';
import type { Connection } from '../../web/context.ts';
import { isForgeable } from '../../web/forwarding.ts';
import { withoutCookie } from '../../web/other-cookies.ts';
import type { ScriptTarget } from './resolve.ts';

export interface EnvironmentOptions {
  /** `/php`, or empty for the whole site. */
  readonly mount: string;
  readonly version: string;
  /** The address that the server listens on. */
  readonly host: string;
  /** Where scripts may publish messages, and with what key. */
  readonly publish: () => { readonly url: string; readonly key: string };
  /** The cookie that signs a browser in: ours alone. */
  readonly sessionCookie: string;
}

/** Who asks for a script. */
export interface Asker {
  /** The id of the request, for logs. */
  readonly id: string;
  readonly address: string;
  readonly isSecure: boolean;
  readonly caller: Caller | null;
  /** `null` when we ask ourselves. */
  readonly connection: Connection | null;
}

export interface EnvironmentScene {
  readonly request: Request;
  readonly asker: Asker;
  readonly target: ScriptTarget;
  /** Bytes of the body; `null` when there is none. */
  readonly bodySize: number | null;
}

/** What a script is told, in the two parts of a request to its pool. */
export type Environment = Required<Pick<PhpRequest, 'params' | 'common'>>;

type Params = (readonly [name: string, value: string])[];

/**
 * Headers that no script sees, beside those that only a proxy may set (`Proxy` among them would become HTTP_PROXY, which HTTP clients
 * obey: httpoxy). Lengths, types and the host have values of ours; the body has no transfer encoding any more; the answers' own words
 * to us are not for clients to say.
 */
const DROPPED = new Set(['host', 'content-length', 'content-type', 'transfer-encoding', 'x-sendfile']);
/** With anything else in it a name could stand for another one once it is written as a variable (`X_A`, `X.A`, `X-A`). */
const PLAIN_NAME = /^[a-z0-9-]+$/;

/**
 * The CGI meta-variables of a request (RFC 3875 §4.1) as nginx sends them, with the caller. PATH_TRANSLATED is left out: php-fpm would
 * run the file that it names, which is the client's choice, instead of SCRIPT_FILENAME. Characters of the values are bytes. Nothing
 * that a client sends can set a name outside `HTTP_`.
 */
export function createEnvironment(options: EnvironmentOptions): (scene: EnvironmentScene) => Environment {
  const { mount, sessionCookie } = options;
  const fixed: PhpParams = [
    ['GATEWAY_INTERFACE', 'CGI/1.1'],
    ['SERVER_SOFTWARE', `bunkhouse/${options.version}`],
    ['SERVER_PROTOCOL', 'HTTP/1.1'],
    // Builds of php-cgi that insist on a redirect want it.
    ['REDIRECT_STATUS', '200'],
    ['SERVER_ADDR', isWildcard(options.host) ? '127.0.0.1' : options.host],
  ];
  /** The name of the variable for each header that was seen. */
  const names = new Map<string, string | null>();
  const nameOf = (header: string): string | null => {
    let name = names.get(header);
    if (name !== undefined) return name;
    const isPassed = PLAIN_NAME.test(header) && !DROPPED.has(header) && !isForgeable(header);
    name = isPassed ? `HTTP_${header.toUpperCase().replaceAll('-', '_')}` : null;
    // Clients make up names: what is remembered is bounded, in bytes, too.
    if (names.size < 1_000 && header.length <= 100) names.set(header, name);
    return name;
  };

  /** What is the same for every request to a script. */
  const ofTargets = new WeakMap<ScriptTarget, PhpParams>();
  const paramsOf = (target: ScriptTarget): PhpParams => {
    const known = ofTargets.get(target);
    if (known) return known;
    const scriptPath = `/${target.names.join('/')}`;
    const scriptName = toBytes(mount + scriptPath);
    const pathInfo = toBytes(target.pathInfo);
    const root = toBytes(target.root);
    const params: Params = [
      ['DOCUMENT_URI', scriptName + pathInfo],
      ['DOCUMENT_ROOT', root],
      ['SCRIPT_NAME', scriptName],
      ['SCRIPT_FILENAME', root + toBytes(scriptPath)],
    ];
    // An empty one would become PHP_SELF.
    if (pathInfo !== '') params.push(['PATH_INFO', pathInfo]);
    ofTargets.set(target, params);
    return params;
  };

  /** Changes only when the server begins to listen. */
  let published: { readonly url: string; readonly params: PhpParams } | null = null;
  const publishParams = (): PhpParams => {
    const { url, key } = options.publish();
    if (published?.url !== url) {
      const params: PhpParams = [
        ['BUNKHOUSE_PUBLISH_URL', url],
        ['BUNKHOUSE_PUBLISH_KEY', key],
      ];
      published = { url, params };
    }
    return published.params;
  };

  const hostOf = createHostReader();

  return ({ request, asker, target, bodySize }) => {
    const { url, headers } = request;
    const { caller, connection } = asker;
    const pathStart = url.indexOf('/', url.indexOf('//') + 2);
    const queryStart = url.indexOf('?', pathStart);
    const host = hostOf(url, pathStart);
    const params: Params = [
      ['REQUEST_METHOD', request.method],
      ['REQUEST_SCHEME', asker.isSecure ? 'https' : 'http'],
      ['REQUEST_URI', toBytes(url.slice(pathStart))],
      ['QUERY_STRING', queryStart < 0 ? '' : toBytes(url.slice(queryStart + 1))],
      ['SERVER_PORT', host.port || (asker.isSecure ? '443' : '80')],
      ['REMOTE_ADDR', asker.address],
      ['BUNKHOUSE_REQUEST_ID', asker.id],
    ];
    if (asker.isSecure) params.push(['HTTPS', 'on']);
    // Behind a proxy the port would be the proxy's.
    if (connection?.peerPort !== undefined && connection.peerAddress === asker.address) {
      params.push(['REMOTE_PORT', String(connection.peerPort)]);
    }
    const type = headers.get('content-type');
    if (type !== null) params.push(['CONTENT_TYPE', type]);
    if (bodySize !== null) params.push(['CONTENT_LENGTH', String(bodySize)]);

    for (const [header, value] of headers) {
      const name = nameOf(header);
      if (name === null) continue;
      if (header === 'cookie') {
        const cookies = withoutCookie(value, sessionCookie);
        if (cookies !== '') params.push([name, cookies]);
      } else if (header !== 'authorization' || !isOurs(caller)) params.push([name, value]);
    }
    addCaller(params, caller);
    return { params, common: [fixed, paramsOf(target), host.params, publishParams()] };
  };
}

/** Most hosts that are remembered. */
const HOSTS = 100;

/** Reads the host of a URL as it stands in the cache key: another spelling of it would be an answer's content and not its key. */
function createHostReader() {
  const known = new AddressMap<{ readonly port: string; readonly params: PhpParams }>(HOSTS);
  return (url: string, pathStart: number) => {
    const origin = url.slice(0, pathStart);
    let read = known.get(origin);
    if (!read) {
      const { host, hostname, port } = new URL(origin);
      const params: PhpParams = [
        ['SERVER_NAME', hostname],
        ['HTTP_HOST', host],
      ];
      read = { port, params };
      known.set(origin, read);
    }
    return read;
  };
}

/** Whether the Authorization header is what signed the caller in with us; a script has no use for it and could lose it. */
function isOurs(caller: Caller | null): boolean {
  return caller !== null && (caller.kind === 'server' || caller.via === 'bearer');
}

/** Who is signed in with us. REMOTE_USER is the id: nobody can choose it, and it never goes to somebody else. */
function addCaller(params: Params, caller: Caller | null): void {
  if (caller?.kind !== 'user') return;
  const { id, email, name, role, emailVerified } = caller.account;
  params.push(
    ['REMOTE_USER', id],
    ['BUNKHOUSE_USER_ID', id],
    ['BUNKHOUSE_USER_EMAIL', toBytes(email)],
    ['BUNKHOUSE_USER_EMAIL_VERIFIED', emailVerified ? '1' : '0'],
    ['BUNKHOUSE_USER_NAME', toBytes(name)],
    ['BUNKHOUSE_USER_ROLE', role],
  );
}

/** Text as UTF-8, one character for each byte. Header values come like that already. */
function toBytes(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is the range of ASCII
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::' || host === 'localhost';
}
