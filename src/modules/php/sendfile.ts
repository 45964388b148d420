import { basename, join } from 'node:path';
import { phpProblems, requestProblems } from '../../kernel/problems.ts';
import type { Logger } from '../../ports/logger.ts';
import type { PhpAnswer } from '../../ports/php-pool.ts';
import { fileResponse } from '../../web/file-response.ts';
import { isBelow, type OpenFile, realPathOf, representFile } from '../../web/static-file.ts';
import { discard, findHeader, toHeaders } from './answer.ts';
import { isSource } from './rules.ts';

export interface SendfileOptions {
  /** PHP_SENDFILE_ROOT: the only folder that scripts may have files sent from. */
  readonly root: string | null;
  readonly openFile: OpenFile;
  readonly log: Logger;
}

/** What PHP says when a script names no type of its own. */
const PHP_DEFAULT_TYPE = /^text\/html\b/i;
/** Headers that describe the file, which we know better than the script. */
const OF_THE_FILE = new Set(['content-type', 'content-range', 'accept-ranges', 'etag', 'last-modified']);

/** A script chose who gets the file, so it is nobody else's, whatever its name looks like, unless the script says more. */
const FOR_THE_CALLER = { 'cache-control': 'private, no-cache' };

/**
 * Sends the file that a script names instead of a body (`X-Accel-Redirect`: a path below the root, encoded as in a URL; `X-Sendfile`: one
 * below the root, or an absolute one inside it), with ranges and conditions. The child is free before the first byte is read.
 * @returns null when the script names none.
 */
export function createSendfile({ root, openFile, log }: SendfileOptions) {
  const find = async (named: string) => {
    const realRoot = root === null ? null : await realPathOf(root);
    if (root === null || realRoot === null) return null;
    const candidates = [join(realRoot, named)];
    // An absolute path may be written as the setting has it, or without its links.
    if (isBelow(named, root)) candidates.push(named);
    for (const candidate of candidates) {
      const real = await realPathOf(candidate);
      if (real === null || !isBelow(real, realRoot) || isSource(basename(real))) continue;
      const file = await openFile(real);
      if (file) return { name: basename(real), file };
    }
    return null;
  };

  const send = async (request: Request, answer: PhpAnswer, named: string): Promise<Response> => {
    discard(answer.body);
    if (root === null) {
      log.error({}, 'a script wants a file sent, and PHP_SENDFILE_ROOT is not set');
      throw phpProblems.create('bad-answer');
    }
    const found = named.includes('\0') ? null : await find(named);
    if (!found) {
      log.warn({}, 'a script wants a file sent that is not below PHP_SENDFILE_ROOT');
      throw requestProblems.create('not-found');
    }
    const type = findHeader(answer, 'content-type');
    const represented = representFile(found.name, found.file, FOR_THE_CALLER);
    const isTyped = type !== null && !PHP_DEFAULT_TYPE.test(type);
    const response = await fileResponse(request, isTyped ? { ...represented, type } : represented);
    for (const [name, value] of toHeaders(answer.headers)) {
      if (OF_THE_FILE.has(name)) continue;
      if (name === 'set-cookie') response.headers.append(name, value);
      else response.headers.set(name, value);
    }
    return response;
  };

  return (request: Request, answer: PhpAnswer): Promise<Response> | null => {
    const named = nameOf(answer);
    return named === null ? null : send(request, answer, named);
  };
}

function nameOf(answer: PhpAnswer): string | null {
  const uri = findHeader(answer, 'x-accel-redirect');
  if (uri === null) return findHeader(answer, 'x-sendfile');
  try {
    return decodeURIComponent(uri.replace(/\?.*$/s, ''));
  } catch {
    return '\0';
  }
}
