import type { AppError } from '../../kernel/errors.ts';
import { requestProblems } from '../../kernel/problems.ts';
import { connectionOf, contextOf } from '../../web/context.ts';
import { fileResponse } from '../../web/file-response.ts';
import type { Fallback } from '../../web/module.ts';
import { representFile } from '../../web/static-file.ts';
import type { createCached } from './cached.ts';
import type { Asker } from './environment.ts';
import type { createResolver, FileTarget, ScriptTarget, Target } from './resolve.ts';
import type { RunScript } from './run-script.ts';
import { decodePhpPath, encodePhpPath, type PhpPath } from './url-path.ts';

export interface PhpHandlerOptions {
  /** `/php`, or empty for the whole site. */
  readonly mount: string;
  readonly resolve: ReturnType<typeof createResolver>;
  readonly runScript: RunScript;
  readonly throughCache: ReturnType<typeof createCached>;
}

/** Answers everything below the mount: scripts by php-fpm, files by us. */
export function createPhpHandler({ mount, resolve, runScript, throughCache }: PhpHandlerOptions): Fallback {
  const claims = createClaims(mount);

  function answer(request: Request, target: Target, { segments }: PhpPath): Promise<Response> | Response | null {
    switch (target.kind) {
      case 'script':
        return runThroughCache(request, target);
      case 'file':
        return sendStatic(request, target);
      case 'directory':
        return redirectTo(`${mount}${encodePhpPath(segments)}/`, request);
      case 'missing':
        // The rest of the house may have something there.
        if (mount === '') return null;
        throw requestProblems.create('not-found');
    }
  }

  function runThroughCache(request: Request, target: ScriptTarget): Response | Promise<Response> {
    const { id, address, isSecure, caller, path } = contextOf(request);
    const asker: Asker = { id, address, isSecure, caller, connection: connectionOf(request) };
    return throughCache(request, path, caller, (asked, respond) => runScript(asked, target, asker, respond));
  }

  function sendStatic(request: Request, { name, file }: FileTarget): Promise<Response> {
    if (request.method !== 'GET' && request.method !== 'HEAD') throw notAllowed();
    return fileResponse(request, representFile(name, file));
  }

  return {
    route: `${mount}/*`,
    isForeign: true,
    wantsCaller: true,
    claims,
    handle(request) {
      const { path } = contextOf(request);
      if (!claims(path)) return null;
      const decoded = decodePhpPath(path.slice(mount.length));
      if (!decoded) throw requestProblems.create('malformed');
      if (request.method === 'TRACE') throw notAllowed();
      const target = resolve(decoded);
      return target instanceof Promise
        ? target.then((found) => answer(request, found, decoded))
        : answer(request, target, decoded);
    },
  };
}

/** Whether a path is below the mount. */
export function createClaims(mount: string): (path: string) => boolean {
  const below = `${mount}/`;
  return (path) => mount === '' || path === mount || path.startsWith(below);
}

function redirectTo(path: string, request: Request): Response {
  const query = /\?[^#]*/.exec(request.url)?.[0] ?? '';
  return new Response(null, { status: 308, headers: { location: path + query, 'cache-control': 'no-cache' } });
}

function notAllowed(): AppError {
  return requestProblems.create('method-not-allowed', { headers: { allow: 'GET, HEAD' } });
}
