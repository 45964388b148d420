import { timingSafeEqual } from 'node:crypto';
import type { Caller, ServerCaller, UserCaller } from '../../kernel/caller.ts';
import type { EventBus } from '../../kernel/events.ts';
import { LruMap } from '../../kernel/lru.ts';
import { accessProblems } from '../../kernel/problems.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Database } from '../../ports/database.ts';
import type { TokenClaims, TokenSigner } from '../../ports/token-signer.ts';
import type { GateOptions, Identity } from '../../web/gate.ts';
import { readSessionCookie } from './cookie.ts';
import { type Standing, toAccount } from './store.ts';

export interface IdentifyOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly accessTokens: TokenSigner;
  readonly cookieTokens: TokenSigner;
  readonly serverKey: string | undefined;
  /** Lets its holder publish messages, and nothing else. */
  readonly publisherKey: string;
  readonly findStanding: (sessionId: string) => Promise<Standing | undefined>;
}

/** A token whose signature holds, with its caller as the database had it. */
interface Verified {
  readonly claims: TokenClaims;
  caller: UserCaller | null;
  /** The database's version, what this process had changed, and the time at which `caller` was read. */
  version: number | null;
  changes: number;
  readAt: number;
}

/** Verified tokens of each kind that are remembered; about 10 MB when full. */
const CACHE_SIZE = 10_000;
/** How long a caller is believed when the database cannot tell whether another process changed anything. */
const BLIND_TRUST_MS = 1_000;

const NOBODY: Identity = { caller: null, fault: null };
const SERVER: ServerCaller = { kind: 'server', id: 'server', role: 'admin' };
const PUBLISHER: ServerCaller = { kind: 'server', id: 'php', role: 'publisher' };

/**
 * Finds out who sends a request: an access token or `SERVER_KEY` as Bearer, or the session cookie. Signatures are checked once
 * per token; whether the login still stands is read again as soon as the database has changed, so that signing out, disabling and
 * a change of role bite at once, in whichever process they were done. Where the database cannot tell, they bite at once in the
 * process that did them and within a second elsewhere.
 */
export function createIdentify(options: IdentifyOptions): Required<Pick<GateOptions, 'identify' | 'recall'>> {
  const { database, clock, events, accessTokens, cookieTokens, findStanding } = options;
  let changes = 0;
  const noteChange = () => {
    changes++;
  };
  for (const name of ['auth/sessions-revoked', 'users/changed', 'users/deleted'] as const) events.on(name, noteChange);

  const serverKey = options.serverKey === undefined ? null : Buffer.from(options.serverKey);
  const publisherKey = Buffer.from(options.publisherKey);
  // One for each kind: a token that was good as a cookie is none as Bearer.
  const caches = { bearer: new LruMap<string, Verified>(CACHE_SIZE), cookie: new LruMap<string, Verified>(CACHE_SIZE) };

  const fromToken = async (token: string, via: UserCaller['via']): Promise<Identity> => {
    const cache = caches[via];
    const cached = cache.get(token);
    const claims = cached?.claims ?? (await (via === 'cookie' ? cookieTokens : accessTokens).verify(token));
    if (!claims || claims.exp * 1000 <= clock.now()) {
      cache.delete(token);
      return rejected();
    }
    const entry = cached ?? { claims, caller: null, version: null, changes: 0, readAt: 0 };
    if (!cached) cache.set(token, entry);
    const [version, seen, readAt] = [database.version(), changes, clock.now()];
    entry.caller = toCaller(await findStanding(claims.sid), claims, via, readAt);
    entry.version = version;
    entry.changes = seen;
    entry.readAt = readAt;
    return entry.caller ? { caller: entry.caller, fault: null } : rejected();
  };

  /** The caller of a token, when it was verified before and nothing has changed since. */
  const fromCache = (token: string, via: UserCaller['via']): UserCaller | null => {
    const entry = caches[via].get(token);
    if (!entry?.caller || entry.claims.exp * 1000 <= clock.now()) return null;
    const version = database.version();
    const isCurrent =
      version === null
        ? entry.changes === changes && Math.abs(clock.now() - entry.readAt) < BLIND_TRUST_MS
        : version === entry.version;
    return isCurrent ? entry.caller : null;
  };

  return {
    identify(request) {
      const credential = credentialOf(request.headers);
      if (credential === null) return NOBODY;
      const { token, via } = credential;
      if (serverKey && via === 'bearer' && isEqual(serverKey, token)) return { caller: SERVER, fault: null };
      if (via === 'bearer' && isEqual(publisherKey, token)) return { caller: PUBLISHER, fault: null };
      const caller = fromCache(token, via);
      return caller ? { caller, fault: null } : fromToken(token, via);
    },
    recall(request) {
      const credential = credentialOf(request.headers);
      return credential && fromCache(credential.token, credential.via);
    },
  };
}

/** What a request presents: a header outweighs a cookie. */
function credentialOf(headers: Headers): { readonly token: string; readonly via: UserCaller['via'] } | null {
  const header = headers.get('authorization');
  if (header === null) {
    const cookie = readSessionCookie(headers.get('cookie'));
    return cookie === null ? null : { token: cookie, via: 'cookie' };
  }
  const token = bearerOf(header);
  return token === null ? null : { token, via: 'bearer' };
}

/** The credentials of scheme Bearer (RFC 6750 §2.1); null for another scheme. */
function bearerOf(header: string): string | null {
  if (header.startsWith('Bearer ') && !header.includes(' ', 7)) return header.slice(7) || null;
  return /^Bearer +([^ ]+) *$/i.exec(header)?.[1] ?? null;
}

function rejected(): Identity {
  return {
    caller: null,
    fault: accessProblems.create('invalid-token', {
      headers: { 'www-authenticate': 'Bearer realm="bunkhouse", error="invalid_token"' },
    }),
  };
}

function toCaller(
  standing: Standing | undefined,
  claims: TokenClaims,
  via: UserCaller['via'],
  now: number,
): (Caller & UserCaller) | null {
  if (!standing) return null;
  const { user, sessionRevokedAt, sessionExpiresAt } = standing;
  const stands =
    user.id === claims.sub &&
    user.tokenEpoch === claims.epoch &&
    user.disabledAt === null &&
    sessionRevokedAt === null &&
    sessionExpiresAt > now;
  if (!stands) return null;
  return { kind: 'user', id: user.id, role: user.role, account: toAccount(user), sessionId: claims.sid, via };
}

function isEqual(expected: Buffer, given: string): boolean {
  const actual = Buffer.from(given);
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}
