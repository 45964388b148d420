import { randomToken } from '../../kernel/ids.ts';
import type { HttpCacheRule, HttpOrigin } from '../../ports/http-cache.ts';
import type { Fallback } from '../../web/module.ts';
import { createClaims } from './handler.ts';
import type { createResolver } from './resolve.ts';
import type { RunScript } from './run-script.ts';
import { decodePhpPath } from './url-path.ts';

export interface PhpOriginOptions {
  /** `/php`, or empty for the whole site. */
  readonly mount: string;
  readonly resolve: ReturnType<typeof createResolver>;
  readonly runScript: RunScript;
  /** The cache's rule of the settings for a path. */
  readonly ruleFor: (path: string, name: string) => HttpCacheRule;
  /** Who is asked before PHP. */
  readonly before: () => readonly Fallback[];
}

/**
 * Of no visitor and of no machine (RFC 5737). Applications show more to the machine that they run on, and what is warmed up is for
 * everybody.
 */
const NOBODY = '192.0.2.1';

/** The scripts, for those who ask about their answers instead of asking for them. Files are not the cache's business. */
export function createPhpOrigin(options: PhpOriginOptions): HttpOrigin {
  const { mount, resolve, runScript, ruleFor } = options;
  const claims = createClaims(mount);
  return {
    async find(path) {
      // Below it nobody else gets a path, wherever PHP is mounted.
      if (!claims(path) || path.startsWith('/api/')) return null;
      const decoded = decodePhpPath(path.slice(mount.length));
      if (!decoded) return null;
      for (const other of options.before()) if (await other.has?.(path)) return null;
      const target = await resolve(decoded);
      if (target.kind !== 'script') return null;
      // Asked by ourselves, as anybody would ask.
      const fetchOrigin = (request: Request) =>
        runScript(request, target, {
          id: randomToken(12),
          address: NOBODY,
          isSecure: request.url.startsWith('https:'),
          caller: null,
          connection: null,
        });
      return { rule: ruleFor(path, 'php'), fetchOrigin };
    },
  };
}
