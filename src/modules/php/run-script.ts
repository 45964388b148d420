import { AppError } from '../../kernel/errors.ts';
import { phpProblems } from '../../kernel/problems.ts';
import type { Logger } from '../../ports/logger.ts';
import type { PhpAnswer, PhpPool } from '../../ports/php-pool.ts';
import { tellEnd } from '../../web/stream-end.ts';
import { toResponse } from './answer.ts';
import type { createBodyTaker, TakenBody } from './body.ts';
import type { Asker, createEnvironment } from './environment.ts';
import type { ScriptTarget } from './resolve.ts';
import type { createScriptErrors } from './script-errors.ts';
import type { createSendfile } from './sendfile.ts';

export interface ScriptRunnerOptions {
  /** `null` when there is no php-fpm on this machine. */
  readonly pool: PhpPool | null;
  readonly takeBody: ReturnType<typeof createBodyTaker>;
  readonly toEnvironment: ReturnType<typeof createEnvironment>;
  readonly sendFile: ReturnType<typeof createSendfile>;
  readonly onErrors: ReturnType<typeof createScriptErrors>;
  readonly log: Logger;
}

/**
 * Asks php-fpm for the answer of a script. `request` is what is asked: the client's own, or what the cache makes of it.
 *
 * @param respond makes the answer; by default one with all that the cache may want to know.
 */
export type RunScript = (request: Request, target: ScriptTarget, asker: Asker, respond?: Respond) => Promise<Response>;

/** @param file the answer with the file that the script wants sent, if it wants that. */
export type Respond = (request: Request, answer: PhpAnswer, file: Response | null) => Response;

const respondInFull: Respond = ({ method }, answer, file) => file ?? toResponse(answer, method);

/** Running such a request twice does no harm that the client did not ask for (RFC 9110 §9.2.1). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

export function createScriptRunner(options: ScriptRunnerOptions): RunScript {
  const { pool, takeBody, toEnvironment, sendFile, log } = options;

  async function run(
    pool: PhpPool,
    request: Request,
    target: ScriptTarget,
    asker: Asker,
    respond: Respond,
  ): Promise<Response> {
    const { id, connection } = asker;
    // Scripts have deadlines of their own, and so has a slow body.
    connection?.keepOpen();
    let taken: TakenBody | null = null;
    let isStreaming = false;
    const end = () => {
      connection?.cutWhenIdle();
      taken?.release();
    };
    try {
      const taking = takeBody(request, asker.caller !== null);
      taken = taking instanceof Promise ? await taking : taking;
      const { body } = taken;
      const environment = toEnvironment({ request, asker, target, bodySize: body?.size ?? null });
      let answer: PhpAnswer;
      try {
        answer = await pool.send({
          ...environment,
          body,
          isSafe: SAFE.has(request.method),
          isGone: () => request.signal.aborted,
          onErrors: (text, status) => options.onErrors(text, status, { requestId: id, script: nameOf(target) }),
        });
      } catch (error) {
        explain(error, id, target);
        throw error;
      }
      if (answer.body instanceof ReadableStream) {
        // It may be silent for as long as it likes, and read its body as late as it likes.
        isStreaming = true;
        answer = { ...answer, body: tellEnd(answer.body, end) };
      }
      const file = sendFile(request, answer);
      return respond(request, answer, file === null ? null : await file);
    } finally {
      if (!isStreaming) end();
    }
  }

  /** The reason behind an answer of 5xx is for the log alone. */
  function explain(error: unknown, requestId: string, target: ScriptTarget): void {
    if (!(error instanceof AppError) || error.problem.status < 500) return;
    const { code, cause } = error;
    const reason = cause instanceof Error ? cause.message : undefined;
    const fields = { requestId, script: nameOf(target), code, ...(reason === undefined ? {} : { reason }) };
    log.error(fields, 'PHP gave no usable answer');
  }

  return (request, target, asker, respond = respondInFull) =>
    pool ? run(pool, request, target, asker, respond) : Promise.reject(noPhp());
}

function noPhp(): AppError {
  return phpProblems.create('unavailable', {
    detail: 'There is no php-fpm on this machine. Install it, or set PHP_FPM.',
  });
}

function nameOf({ names }: ScriptTarget): string {
  return names.join('/');
}
