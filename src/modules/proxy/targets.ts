import type { Clock } from '../../ports/clock.ts';

/** Requests below a path prefix, and the servers that answer them. */
export interface ProxyRoute {
  /** Starts with a slash and ends without one; empty for the whole site. */
  readonly prefix: string;
  /** `http://host:port`, one or several equal ones. */
  readonly origins: readonly [string, ...string[]];
}

/** One of the equal servers of a route. */
export interface Target {
  readonly origin: string;
  /** Requests that it is answering. */
  active: number;
  /** Until when it is asked last, because it could not be reached. */
  downUntil: number;
}

export interface Targets {
  /** In the order in which to try them: the least busy first, those that were down a moment ago last. Never empty. */
  inOrder(): Target[];
  markDown(target: Target): void;
}

/** How long a server that cannot be reached is left for the others to do its work. */
const DOWN_MS = 5_000;

export function createTargets(origins: readonly string[], clock: Clock): Targets {
  const all: Target[] = origins.map((origin) => ({ origin, active: 0, downUntil: 0 }));
  let turn = 0;
  return {
    inOrder() {
      if (all.length === 1) return all;
      turn = (turn + 1) % all.length;
      const rotated = [...all.slice(turn), ...all.slice(0, turn)];
      const now = clock.now();
      const isDown = (target: Target) => Number(target.downUntil > now);
      return rotated.sort((a, b) => isDown(a) - isDown(b) || a.active - b.active);
    },
    markDown(target) {
      target.downUntil = clock.now() + DOWN_MS;
    },
  };
}

/** Paths that mean another place to whoever resolves them: below a prefix as they are written, above it as they are sent on. */
const AMBIGUOUS = /\\|\/(?:\.|%2e){1,2}(?:\/|$)/i;

/** The route with the longest prefix that covers a path; a prefix ends at a slash. `null` for paths that can be read in two ways. */
export function findRoute<Route extends ProxyRoute>(routes: readonly Route[], path: string): Route | null {
  if (AMBIGUOUS.test(path)) return null;
  let found: Route | null = null;
  for (const route of routes) {
    const { prefix } = route;
    const covers = path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
    if (covers && (found === null || prefix.length > found.prefix.length)) found = route;
  }
  return found;
}
