import { AddressMap } from '../../kernel/address-map.ts';
import type { Caller } from '../../kernel/caller.ts';
import type { HttpCache, HttpCacheRule } from '../../ports/http-cache.ts';
import type { PhpAnswer, PhpHeaders } from '../../ports/php-pool.ts';
import { answerAgain, type KeptAnswer, keepAnswer } from '../../web/ready-headers.ts';
import { hasContent, toHeaders, toResponse } from './answer.ts';
import type { Respond } from './run-script.ts';

export interface CachedOptions {
  readonly cache: HttpCache;
  /** The cache's rule of the settings for a path. */
  readonly ruleFor: (path: string, name: string) => HttpCacheRule;
}

/** For those who are signed in with us: a script may answer everybody whom it knows differently. */
const PERSONAL: HttpCacheRule = { name: 'php, signed in', mode: 'off' };
/** For addresses whose last answer gave the cache nothing to go by; looking it up each time would cost more than it brings. */
const HOPELESS: HttpCacheRule = { name: 'php, without freshness or validators', mode: 'off' };
const REMEMBERED = 2_000;
/** Words to the cache. */
const NOT_FOR_CLIENTS = ['x-accel-expires', 'surrogate-key', 'xkey', 'cache-tags'];
/** Any of them may make an answer storable. */
const HINTS = [
  'cache-control',
  'expires',
  'x-accel-expires',
  'cdn-cache-control',
  'surrogate-control',
  'etag',
  'last-modified',
];

/** Runs the script that a request means. */
type Run = (request: Request, respond?: Respond) => Promise<Response>;

/** The head of an answer that goes past the store. */
interface DirectHead extends KeptAnswer {
  readonly isHinted: boolean;
}

/** Sends scripts' answers through the HTTP cache. */
export function createCached({ cache, ruleFor }: CachedOptions) {
  const hopeless = new AddressMap<true>(REMEMBERED);
  const heads = new WeakMap<PhpHeaders, DirectHead>();

  /** Whether an address gives the cache something to go by. */
  const learn = (url: string, isHopeless: boolean, isHinted: boolean): void => {
    if (isHinted && isHopeless) hopeless.delete(url);
    else if (!isHinted && !isHopeless) hopeless.set(url, true);
  };

  const headOf = ({ status, headers }: PhpAnswer): DirectHead => {
    let head = heads.get(headers);
    if (!head) {
      const kept = toHeaders(headers);
      const isHinted = HINTS.some((name) => kept.has(name));
      for (const name of NOT_FOR_CLIENTS) kept.delete(name);
      kept.set('cache-status', bypassed(status));
      head = { ...keepAnswer({ status, headers: kept }), isHinted };
      heads.set(headers, head);
    }
    return head;
  };

  /** Makes the answer to what is only read and not stored. */
  const direct: Respond = (request, answer, file) => {
    if (!file && hasContent(answer, request.method)) return answerAgain(request, answer.body, headOf(answer));
    const response = file ?? toResponse(answer, request.method);
    response.headers.set('cache-status', bypassed(response.status));
    return withoutWords(response);
  };

  return (request: Request, path: string, caller: Caller | null, run: Run): Response | Promise<Response> => {
    const named = ruleFor(path, 'php');
    const isPlain = named.mode === 'respect';
    const { url, method } = request;
    const isHopeless = isPlain && hopeless.get(url) === true;
    const rule = caller ? PERSONAL : isHopeless ? HOPELESS : named;
    // What is only read and not stored has no business with the store; what may change something makes it forget.
    if (rule !== named && (method === 'GET' || method === 'HEAD')) {
      return run(request, (asked, answer, file) => {
        if (isPlain) learn(url, isHopeless, headOf(answer).isHinted);
        return direct(asked, answer, file);
      });
    }
    const answered = cache.handle(request, rule, (asked) => run(asked));
    // What is there at once is from the store: it is as clients may see it, and nothing is to be learnt from it.
    if (!(answered instanceof Promise)) return answered;
    return answered.then((response) => {
      if (isPlain) {
        const { headers } = response;
        learn(
          url,
          isHopeless,
          HINTS.some((name) => headers.has(name)),
        );
      }
      return withoutWords(response);
    });
  };
}

function withoutWords(response: Response): Response {
  const { headers } = response;
  for (const name of NOT_FOR_CLIENTS) if (headers.has(name)) headers.delete(name);
  return response;
}

/** As the cache would say (RFC 9211). */
function bypassed(status: number): string {
  return `bunkhouse; fwd=bypass; fwd-status=${status}`;
}
