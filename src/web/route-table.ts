import type { AnyElysia } from 'elysia';
import { Memoirist } from 'memoirist';
import { AddressMap } from '../kernel/address-map.ts';
import { ACCESS_KEY, type Access, LIMIT_KEY, WIRE_KEY, type WireHeaders } from './guard.ts';

/** What the gate knows of a route before anything of the request is read. */
export interface RouteEntry {
  readonly method: string;
  /** `/api/files/:id` */
  readonly pattern: string;
  readonly access: Access;
  readonly limit: 'default' | 'auth';
  /** The handler reads the body's stream itself: no limit and no content type is enforced here. */
  readonly isRawBody: boolean;
  /** Media type the route's body must have; `null` when it takes none. */
  readonly consumes: string | null;
  readonly wire: WireHeaders | null;
}

export interface RouteTable {
  readonly entries: readonly RouteEntry[];
  find(method: string, path: string): RouteEntry | null;
  /** Methods under which the path exists, HEAD and OPTIONS included; empty when there is none. */
  methodsOf(path: string): string[];
  /** Headers that the routes of a path want on the answer to OPTIONS. */
  optionsOf(path: string): Readonly<Record<string, string>>;
}

const BODY_TYPES: Readonly<Record<string, string>> = {
  json: 'application/json',
  urlencoded: 'application/x-www-form-urlencoded',
};
/** Paths that no route has, kept in mind because they are mostly asked for again: files and pages of others. */
const MAX_STRANGE = 1_000;

/**
 * The routes of an Elysia app by method and path, matched by the router that Elysia itself uses.
 * @throws Error when a route does not say who may call it: that is a fault in the program.
 */
export function createRouteTable(app: AnyElysia): RouteTable {
  const router = new Memoirist<RouteEntry>();
  /** By method, then path: most requests are for a path without parameters. */
  const fixed = new Map<string, Map<string, RouteEntry>>();
  const entries: RouteEntry[] = [];
  for (const { method, path, hooks } of app.routes) {
    // Elysia answers both with and without a slash at the end.
    const bare = path.length > 1 ? path.replace(/\/$/, '') : path;
    const entry = toEntry(method, bare, hooks);
    entries.push(entry);
    router.add(method, bare, entry);
    if (!/[:*]/.test(bare)) {
      const paths = fixed.get(method) ?? new Map<string, RouteEntry>();
      fixed.set(method, paths.set(bare, entry));
    }
    if (!bare.endsWith('*') && bare !== '/') router.add(method, `${bare}/`, entry);
  }
  const methods = [...new Set(entries.map(({ method }) => method))];
  const strange = new AddressMap<true>(MAX_STRANGE);
  const find = (method: string, path: string) =>
    fixed.get(method)?.get(path) ?? (strange.get(path) ? null : (router.find(method, path)?.store ?? null));
  return {
    entries,
    find,
    methodsOf(path) {
      if (strange.get(path)) return [];
      const found = methods.filter((method) => find(method, path));
      if (found.length === 0) {
        strange.set(path, true);
        return [];
      }
      if (found.includes('GET') && !found.includes('HEAD')) found.push('HEAD');
      return [...found, 'OPTIONS'];
    },
    optionsOf: (path) => Object.assign({}, ...methods.map((method) => find(method, path)?.wire?.options)),
  };
}

function toEntry(method: string, pattern: string, hooks: Record<string, unknown>): RouteEntry {
  const detail = (hooks['detail'] ?? {}) as Record<string, unknown>;
  const access = detail[ACCESS_KEY] as Access | undefined;
  if (!access) throw new Error(`the route ${method} ${pattern} does not say who may call it`);
  const [parser] = [hooks['parse'] ?? []].flat() as (string | { fn: unknown })[];
  const parse = typeof parser === 'object' ? parser.fn : parser;
  const isRawBody = parse === 'none';
  return {
    method,
    pattern,
    access,
    limit: detail[LIMIT_KEY] === 'auth' ? 'auth' : 'default',
    isRawBody,
    wire: (detail[WIRE_KEY] as WireHeaders | undefined) ?? null,
    consumes: isRawBody || !hooks['body'] ? null : (BODY_TYPES[String(parse ?? 'json')] ?? null),
  };
}
