import { AppError } from '../../kernel/errors.ts';
import { phpProblems, requestProblems } from '../../kernel/problems.ts';
import type { Logger } from '../../ports/logger.ts';
import type { PhpAnswer, PhpPool } from '../../ports/php-pool.ts';
import { connectionOf, contextOf } from '../../web/context.ts';
import { fileResponse } from '../../web/file-response.ts';
import type { Fallback } from '../../web/module.ts';
import { representFile } from '../../web/static-file.ts';
import { tellEnd } from '../../web/stream-end.ts';
import { toResponse } from './answer.ts';
import type { createBodyTaker, TakenBody } from './body.ts';
import type { createCached } from './cached.ts';
import type { createEnvironment } from './environment.ts';
import type { createResolver, FileTarget, ScriptTarget } from './resolve.ts';
import type { createScriptErrors } from './script-errors.ts';
import type { createSendfile } from './sendfile.ts';
import { decodePhpPath, encodePhpPath } from './url-path.ts';

export interface PhpHandlerOptions {
  /** `/php`, or empty for the whole site. */
  readonly mount: string;
  /** `null` when there is no php-fpm on this machine. */
  readonly pool: PhpPool | null;
  readonly resolve: ReturnType<typeof createResolver>;
  readonly takeBody: ReturnType<typeof createBodyTaker>;
  readonly toEnvironment: ReturnType<typeof createEnvironment>;
  readonly sendFile: ReturnType<typeof createSendfile>;
  readonly onErrors: ReturnType<typeof createScriptErrors>;
  readonly throughCache: ReturnType<typeof createCached>;
  readonly log: Logger;
}

/** Running such a request twice does no harm that the client did not ask for (RFC 9110 §9.2.1). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Answers everything below the mount: scripts by php-fpm, files by us. */
export function createPhpHandler(options: PhpHandlerOptions): Fallback {
  const { mount, pool, resolve, takeBody, toEnvironment, sendFile, throughCache, log } = options;
  const claims = (path: string) => mount === '' || path === mount || path.startsWith(`${mount}/`);

  /** @param client the request that came through the gate. @param request what is asked: the same, or what the cache makes of it. */
  async function runScript(client: Request, request: Request, target: ScriptTarget): Promise<Response> {
    if (!pool)
      throw phpProblems.create('unavailable', {
        detail: 'There is no php-fpm on this machine. Install it, or set PHP_FPM.',
      });
    const context = contextOf(client);
    const connection = connectionOf(client);
    // Scripts have deadlines of their own, and so has a slow body.
    connection.keepOpen();
    const idleAgain = () => connection.cutWhenIdle();
    let isStreaming = false;
    let taken: TakenBody | null = null;
    try {
      taken = await takeBody(request, context.caller !== null);
      const { body } = taken;
      const params = toEnvironment({ request, context, connection, target, bodySize: body?.size ?? null });
      const script = target.names.join('/');
      let answer: PhpAnswer;
      try {
        answer = await pool.send({
          params,
          body,
          isSafe: SAFE.has(request.method),
          isGone: () => request.signal.aborted,
          onErrors: (text, status) => options.onErrors(text, status, { requestId: context.id, script }),
        });
      } catch (error) {
        explain(error, context.id, script);
        throw error;
      }
      if (answer.body instanceof ReadableStream) {
        // It may be silent for as long as it likes.
        isStreaming = true;
        answer = { ...answer, body: tellEnd(answer.body, idleAgain) };
      }
      return (await sendFile(request, answer)) ?? toResponse(answer, request.method);
    } finally {
      if (!isStreaming) idleAgain();
      await taken?.release();
    }
  }

  /** The reason behind an answer of 5xx is for the log alone. */
  function explain(error: unknown, requestId: string, script: string): void {
    if (!(error instanceof AppError) || error.problem.status < 500) return;
    const { code, cause } = error;
    const reason = cause instanceof Error ? cause.message : undefined;
    log.error({ requestId, script, code, ...(reason === undefined ? {} : { reason }) }, 'PHP gave no usable answer');
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
    async handle(request) {
      const { path, caller } = contextOf(request);
      if (!claims(path)) return null;
      const decoded = decodePhpPath(path.slice(mount.length));
      if (!decoded) throw requestProblems.create('malformed');
      if (request.method === 'TRACE') throw notAllowed();
      const target = await resolve(decoded);
      switch (target.kind) {
        case 'script':
          return throughCache(request, path, caller, (asked) => runScript(request, asked, target));
        case 'file':
          return sendStatic(request, target);
        case 'directory':
          return redirectTo(`${mount}${encodePhpPath(decoded.segments)}/`, request);
        case 'missing':
          // The rest of the house may have something there.
          if (mount === '') return null;
          throw requestProblems.create('not-found');
      }
    },
  };
}

function redirectTo(path: string, request: Request): Response {
  const query = /\?[^#]*/.exec(request.url)?.[0] ?? '';
  return new Response(null, { status: 308, headers: { location: path + query, 'cache-control': 'no-cache' } });
}

function notAllowed(): AppError {
  return requestProblems.create('method-not-allowed', { headers: { allow: 'GET, HEAD' } });
}
